"""The receptive field of a .tflite file, computed from its graph alone."""

import os
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pams_tf.errors import InputError
from pams_tf.litert import reach
from pams_tf.litert.file_info import FileInfo, OperatorInfo
from pams_tf.litert.flatbuffer import name_of, read_file
from pams_tf.litert.reach import Reach, Reading

_POINTWISE = {
    *("ADD", "SUB", "MUL", "DIV", "NEG", "ABS", "MAXIMUM", "MINIMUM", "CONCATENATION"),
    *("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "LEAKY_RELU", "PRELU", "GELU"),
    *("LOGISTIC", "TANH", "HARD_SWISH", "QUANTIZE", "DEQUANTIZE", "CAST"),
}
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_SHUFFLES = ("RESHAPE", "TRANSPOSE")


def receptive_field_radius(source: bytes | str | os.PathLike[str]) -> int:
    """LR pixels on each side of a pixel on which its enlargement depends, on the wider axis.

    Args:
      source: as for `receptive_field`.

    Raises:
      InputError: as in `receptive_field`, or it is the whole image.
    """
    radius = receptive_field(source).radius
    if radius is None:
        raise InputError(
            f"{name_of(source)} takes a mean over the whole image, so that tiles change the result "
            "everywhere; give it whole images, or accept that with a halo of your own (--halo)"
        )
    return radius


def receptive_field(source: bytes | str | os.PathLike[str]) -> Reach:
    """What the enlargement of an LR pixel depends on, on the wider axis.

    Walks from the output back to the input and tracks, for every tensor, the pixels that the
    enlargement of one LR pixel reads; with strides, of each LR pixel that is cut in another way.
    Exact for these operators, but that it takes no account of zeros in a kernel. RESHAPE and
    TRANSPOSE are treated as parts of a depth-to-space, their role in super-resolution.

    Args:
      source: a .tflite file that maps one image to one image, or its content.

    Raises:
      InputError: the file cannot be read, or it has an operator whose reach is unknown (pooling,
        resizing); the message names it.
    """
    info = read_file(source)
    (image,), (result,) = info.inputs, info.outputs
    axes = [reach.reach(_readings(info, image, axis), image, result) for axis in (1, 2)]
    found = [axis for axis in axes if axis is not None]
    if len(found) < len(axes):
        raise InputError("the file's output does not depend on its input; export it again")
    return reach.wider(*found)


def _readings(info: FileInfo, image: int, axis: int) -> list[Reading]:
    """The operators between image and result, on one axis: 1 is the height, 2 the width."""
    known = {image: Fraction(1)}  # tensor -> its pixels per LR pixel
    readings = []
    for operator in info.graph:
        inputs = [index for index in operator.inputs if index in known]
        if not inputs:
            continue
        density = max(known[index] for index in inputs)
        span, factor = _operator(operator, info, axis, density, image)
        for output in operator.outputs:
            readings.append(Reading(output, inputs, span, factor))
            known[output] = density * factor
    return readings


def _operator(
    operator: OperatorInfo, info: FileInfo, axis: int, density: Fraction, image: int
) -> tuple[reach.Span | None, Fraction]:
    """What an operator reads, and how many pixels it makes of one."""
    name, options = operator.name, operator.options
    one = Fraction(1)
    side = "H" if axis == 1 else "W"
    if name in _POINTWISE:
        return reach.pointwise, one
    if name == "DEPTH_TO_SPACE":
        factor = Fraction(options["blockSize"])
        return reach.enlarged(factor), factor
    if name == "SPACE_TO_DEPTH":
        factor = Fraction(1, options["blockSize"])
        return reach.enlarged(factor), factor
    if name in _SHUFFLES:
        factor = _shuffled(operator, info, density, image)
        return reach.enlarged(factor), factor
    if name in _CONVOLUTIONS or name == "TRANSPOSE_CONV":
        size = info.tensors[operator.inputs[1]].shape[axis]
        stride, same = options[f"stride{side}"], options["padding"] == schema.Padding.SAME
        if name == "TRANSPOSE_CONV":
            before = max(size - stride, 0) // 2 if same else 0
            return reach.transposed_window(size, stride, before), Fraction(stride)
        dilation = options[f"dilation{side}Factor"]
        span = reach.window(size, stride, dilation, None if same else 0)
        return span, Fraction(1, stride)
    constants = _constants(operator, info)
    if name in ("PAD", "PADV2", "MIRROR_PAD") and constants:
        return reach.shifted(-int(constants[0].reshape(-1, 2)[axis, 0])), one
    if name == "STRIDED_SLICE" and len(constants) == 3 and not _masks(options):
        begin, _, strides = (int(values[axis]) for values in constants)
        begin = 0 if options["beginMask"] >> axis & 1 else begin
        if begin >= 0 and strides > 0:
            return reach.shifted(begin, strides), Fraction(1, strides)
    if name == "SLICE" and len(constants) == 2:
        return reach.shifted(int(constants[0][axis])), one
    if name == "GATHER" and options["axis"] in (3, -1) and not options.get("batchDims"):
        return reach.pointwise, one
    if name == "MEAN" and constants:
        spatial = {int(value) % 4 for value in constants[0].ravel()} & {1, 2}
        return (None if spatial else reach.pointwise), one
    raise InputError(
        f"cannot tell how far an operator of the file sees: {name} with {_settings(options)}; "
        "give the halo, in LR pixels"
    )


def _constants(operator: OperatorInfo, info: FileInfo) -> list[np.ndarray]:
    """The whole numbers that an operator is given beside the image; none if some are computed."""
    tensors = [info.tensors[index] for index in operator.inputs[1:] if index >= 0]
    kinds = {"int32": np.int32, "int64": np.int64}
    if not all(tensor.data and tensor.dtype in kinds for tensor in tensors):
        return []
    return [np.frombuffer(tensor.data, kinds[tensor.dtype]) for tensor in tensors]


def _masks(options: Mapping[str, Any]) -> bool:
    """Whether a slice adds or removes axes."""
    return any(options.get(mask) for mask in ("ellipsisMask", "newAxisMask", "shrinkAxisMask"))


def _shuffled(operator: OperatorInfo, info: FileInfo, density: Fraction, image: int) -> Fraction:
    """Pixels for one; inside a depth-to-space, where tensors are no images, 1."""
    shape, lr = info.tensors[operator.outputs[0]].shape, info.tensors[image].shape
    is_image = len(shape) == 4 and shape[0] == 1 and shape[1] * lr[2] == shape[2] * lr[1]
    return Fraction(shape[1], lr[1]) / density if is_image else Fraction(1)


def _settings(options: Mapping[str, Any]) -> str:
    known = {key: value for key, value in options.items() if value}
    return ", ".join(f"{key}={value}" for key, value in known.items()) or "no settings"
