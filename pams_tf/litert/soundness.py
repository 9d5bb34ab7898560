"""Checks of a file's quantization that LiteRT leaves out: without them, it ends the process.

A file can be a well-formed flatbuffer and still bring LiteRT down with a signal, so that a program
loses more than this file. The limits were found by running one file with each of its scales set to
powers of two from 2**-149 to 2**127.
"""

import numpy as np

from pams_tf.errors import InputError
from pams_tf.litert.file_info import FileInfo, OperatorInfo, TensorInfo

_QUANTIZED = ("int4", "int8", "uint8", "int16")
# Operators that compute with the values of integer tensors, so that these need scales; others, such
# as RESHAPE, only move codes.
_ARITHMETIC = frozenset(
    {
        "ADD",
        "AVERAGE_POOL_2D",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "DEQUANTIZE",
        "FULLY_CONNECTED",
        "LEAKY_RELU",
        "LOGISTIC",
        "MUL",
        "PRELU",
        "QUANTIZE",
        "SUB",
        "TANH",
        "TRANSPOSE_CONV",
    }
)
_SUM_FRACTION_BITS = 20  # of the builtin kernels' int8 additions
_LEAST_MULTIPLIER = 2.0**-100


def check_sound(info: FileInfo) -> None:
    """Check that no quantization parameter in the file is one that LiteRT does not survive.

    Raises:
      InputError: a scale is not a positive, normal float32; a tensor that is computed with has
        none; an operator lacks a tensor; or the scales around an addition lie too far apart. The
        message names the tensor.
    """
    for tensor in info.tensors:
        for scale in tensor.scales:
            # NaN fails both comparisons.
            if not np.finfo(np.float32).tiny <= scale <= np.finfo(np.float32).max:
                raise InputError(
                    f"tensor {tensor.name!r} has the scale {float(scale)!r}; a scale is a number "
                    "above 0, so the file is damaged: export or copy it again"
                )
    for operator in info.graph:
        if operator.name not in _ARITHMETIC:
            continue
        if not operator.inputs or min(*operator.inputs[:2], *operator.outputs) < 0:
            raise InputError(f"its {operator.name} lacks a tensor; export or copy the file again")
        inputs = [info.tensors[index] for index in operator.inputs[:2]]
        output = info.tensors[operator.outputs[0]]
        for tensor in (*inputs, output):
            if tensor.dtype in _QUANTIZED and not tensor.scales:
                raise InputError(
                    f"tensor {tensor.name!r} of its {operator.name} is {tensor.dtype} without a "
                    "scale, so the file is damaged: export or copy it again"
                )
        if operator.name in ("ADD", "SUB"):
            _check_sum(operator, inputs, output)


def _check_sum(operator: OperatorInfo, inputs: list[TensorInfo], output: TensorInfo) -> None:
    """LiteRT stops the process if the multiplier of the sum is not between 0 and 1."""
    if output.dtype not in _QUANTIZED or not all(tensor.scales for tensor in inputs):
        return
    widest = max(float(tensor.scales[0]) for tensor in inputs)
    multiplier = 2 * widest / (2**_SUM_FRACTION_BITS * float(output.scales[0]))
    if not _LEAST_MULTIPLIER < multiplier < 1:
        raise InputError(
            f"the scales around {output.name!r} ({operator.name}) are {widest:g} and "
            f"{float(output.scales[0]):g}, too far apart to be computed; export the file again"
        )
