"""Checks of a file that LiteRT leaves out: without them, it ends the process.

A file can be a well-formed flatbuffer and still bring LiteRT down with a signal, so that a program
loses more than this file. The limits were found by running files of many operators with every
scale, zero point, type, shape, buffer, index and option changed in turn.
"""

import math
from collections.abc import Sequence

import numpy as np

from pams_tf.errors import InputError
from pams_tf.litert.file_info import FileInfo, OperatorInfo, TensorInfo

_QUANTIZED = ("int4", "int8", "uint8", "int16")
_LIMITS = {"int4": (-8, 7), "int8": (-128, 127), "uint8": (0, 255), "int16": (-(2**15), 2**15 - 1)}
# Operators that compute with the values of integer tensors, so that these need scales; others, such
# as RESHAPE, only move codes.
_ARITHMETIC = frozenset(
    {
        "ADD",
        "AVERAGE_POOL_2D",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "DEQUANTIZE",
        "FULLY_CONNECTED",
        "LEAKY_RELU",
        "LOGISTIC",
        "MUL",
        "PRELU",
        "QUANTIZE",
        "RELU",
        "RELU6",
        "SUB",
        "TANH",
        "TRANSPOSE_CONV",
    }
)
# The number of inputs that cannot be left out; of other operators it is the first.
_INPUTS = {
    **dict.fromkeys(("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "PRELU", "SUB"), 2),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), 2),
    **dict.fromkeys(("GATHER", "MEAN", "MIRROR_PAD", "PAD", "SPLIT", "TILE", "TRANSPOSE"), 2),
    **dict.fromkeys(("PADV2", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), 2),
    **dict.fromkeys(("SLICE", "SPLIT_V", "TRANSPOSE_CONV"), 3),
    **dict.fromkeys(("BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND"), 3),
    "STRIDED_SLICE": 4,
}
_OF_ALL = ("ADD_N", "CONCATENATION", "PACK")  # these read every input that they list
_SUM_FRACTION_BITS = 20  # of the builtin kernels' int8 additions
_LEAST_MULTIPLIER = 2.0**-100
# The place of the image and of the kernel among the inputs.
_CONVOLUTIONS = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), (0, 1)),
    "TRANSPOSE_CONV": (2, 1),
}
_MOST_CONVOLUTION_GAIN = 2.0**8  # of XNNPACK
_CLAMPS = frozenset({"RELU", "RELU6"})
_MOST_GAIN, _LEAST_GAIN = 2.0**7, 2.0**-8  # of XNNPACK's conversion from one scale to another


def check_sound(info: FileInfo) -> None:
    """Check that nothing in the file is known to end the process that runs it.

    Raises:
      InputError: a scale is not a positive, normal float32; a zero point is no code of its tensor;
        a tensor that is computed with has no scale; an operator lacks a tensor, reads one that
        nothing has computed yet or writes one that is given; or the scales around it lie too far
        apart. The message names the tensor.
    """
    for tensor in info.tensors:
        _check_quantization(tensor)
    _check_order(info)
    for operator in info.graph:
        _check_operator(operator, info)


def _check_quantization(tensor: TensorInfo) -> None:
    for scale in tensor.scales:
        # NaN fails both comparisons.
        if not np.finfo(np.float32).tiny <= scale <= np.finfo(np.float32).max:
            raise InputError(
                f"tensor {tensor.name!r} has the scale {float(scale)!r}; a scale is a number "
                "above 0, so the file is damaged: export or copy it again"
            )
    least, most = _LIMITS.get(tensor.dtype, (-np.inf, np.inf))
    for zero_point in tensor.zero_points:
        if not least <= zero_point <= most:
            raise InputError(
                f"tensor {tensor.name!r} has the zero point {zero_point}, which is no code of "
                f"{tensor.dtype}, so the file is damaged: export or copy it again"
            )


def _check_order(info: FileInfo) -> None:
    """Every operator reads what is there already and writes what nothing else gives."""
    if info.subgraphs != 1:  # the others are called by operators in ways that nobody checks here
        return
    constants = {index for index, tensor in enumerate(info.tensors) if tensor.data}
    given = {*constants, *info.inputs, *info.variables}
    for operator in info.graph:
        custom = operator.name.startswith("CUSTOM")  # Vela's has its working memory as an input
        for index in operator.inputs:
            if index >= 0 and index not in given and not custom:
                raise InputError(
                    f"its {operator.name} reads tensor {info.tensors[index].name!r} before it is "
                    "computed, so the file is damaged: export or copy it again"
                )
        for index in operator.outputs:
            if index in given:
                raise InputError(
                    f"its {operator.name} writes tensor {info.tensors[index].name!r}, which has "
                    "its values already, so the file is damaged: export or copy it again"
                )
            given.add(index)
    for index in info.outputs:
        if index not in given:
            raise InputError(
                f"no operator computes its output {info.tensors[index].name!r}, so the file is "
                "damaged: export or copy it again"
            )


def _check_operator(operator: OperatorInfo, info: FileInfo) -> None:
    needed = _INPUTS.get(operator.name, 1 if operator.inputs else 0)
    if operator.name in _OF_ALL:
        needed = len(operator.inputs)
    listed = 3 if operator.name == "DEPTHWISE_CONV_2D" else needed  # its bias may be -1
    lacking = len(operator.inputs) < listed or min(operator.inputs[:needed], default=0) < 0
    divided = operator.name == "SPLIT" and operator.options.get("numSplits") != len(
        operator.outputs
    )
    if lacking or divided or not operator.outputs or min(operator.outputs) < 0:
        raise InputError(f"its {operator.name} lacks a tensor; export or copy the file again")
    if operator.name not in _ARITHMETIC:
        return
    tensors = [info.tensors[index] if index >= 0 else None for index in operator.inputs]
    output = info.tensors[operator.outputs[0]]
    for tensor in (*filter(None, tensors), output):
        if tensor.dtype in _QUANTIZED and not tensor.scales:
            raise InputError(
                f"tensor {tensor.name!r} of its {operator.name} is {tensor.dtype} without a "
                "scale, so the file is damaged: export or copy it again"
            )
    if output.dtype in _QUANTIZED:
        places = _CONVOLUTIONS.get(operator.name, range(needed))
        _check_gain(operator.name, [tensors[place] for place in places], output)


def _check_gain(name: str, inputs: Sequence[TensorInfo | None], output: TensorInfo) -> None:
    """The factors between the scales around an operator must be those that LiteRT can apply."""
    if not all(tensor and tensor.scales for tensor in inputs):
        return
    scales = [max(map(float, tensor.scales)) for tensor in inputs if tensor]
    out = float(output.scales[0])
    if name in ("ADD", "SUB"):
        # LiteRT stops the process if the multiplier of the sum is not between 0 and 1.
        gain = 2 * max(scales) / (2**_SUM_FRACTION_BITS * out)
        computable = _LEAST_MULTIPLIER < gain < 1
    elif name in _CONVOLUTIONS:
        computable = math.prod(scales) / out < _MOST_CONVOLUTION_GAIN
    elif name in _CLAMPS:
        computable = _LEAST_GAIN <= max(scales) / out <= _MOST_GAIN
    else:
        return
    if not computable:
        listed = " and ".join(f"{scale:g}" for scale in (*scales, out))
        raise InputError(
            f"the scales around {output.name!r} ({name}) are {listed}, "
            "too far apart to be computed; export the file again"
        )
