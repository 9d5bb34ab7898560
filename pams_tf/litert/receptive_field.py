"""The receptive field of a .tflite file, computed from its graph alone."""

import os
from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from pams_tf.errors import InputError
from pams_tf.litert.flatbuffer import operator_name, read_model

_POINTWISE = {
    *("ADD", "SUB", "MUL", "DIV", "NEG", "ABS", "MAXIMUM", "MINIMUM", "CONCATENATION"),
    *("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "LEAKY_RELU", "PRELU", "GELU"),
    *("LOGISTIC", "TANH", "HARD_SWISH", "QUANTIZE", "DEQUANTIZE", "CAST"),
}
_CONVOLUTIONS = {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"}
_Span = tuple[Fraction, Fraction]
"""An interval (start, end) on one axis, in LR pixels; pixel i of the input is (i, i + 1)."""


def receptive_field_radius(source: bytes | str | os.PathLike[str]) -> int:
    """LR pixels on each side of a pixel on which its enlargement depends, on the wider axis.

    Walks from the output back to the input and tracks, for every tensor, the span that the
    enlargement of one LR pixel reads. A convolution widens the span by its kernel size, in pixels
    of its own tensor; DEPTH_TO_SPACE makes blockSize pixels of one. Exact for these operators.
    RESHAPE and TRANSPOSE are treated as parts of a depth-to-space, their role in super-resolution.

    Args:
      source: a .tflite file that maps one image to one image, or its content.

    Raises:
      InputError: the file cannot be read, or it has an operator whose reach is unknown or varies
        with the position (pooling, strides, resizing); the message names it.
    """
    model = read_model(source)
    graph = model.subgraphs[0]
    (image,), (result,) = graph.inputs, graph.outputs
    operators = [(operator_name(model.operatorCodes[op.opcodeIndex]), op) for op in graph.operators]

    factors = {image: 1}  # tensor -> its pixels per LR pixel on each axis; 0 inside a shuffle
    for name, operator in operators:
        inputs = [tensor for tensor in operator.inputs if tensor in factors]
        if inputs:
            factor = _factor(name, operator, graph.tensors, factors[inputs[-1]], image)
            factors.update(dict.fromkeys(operator.outputs, factor))

    return max(_reach(operators, graph.tensors, factors, image, result, axis) for axis in (0, 1))


def _reach(
    operators: list[tuple[str, Any]],
    tensors: list[Any],
    factors: dict[int, int],
    image: int,
    result: int,
    axis: int,
) -> int:
    spans: dict[int, _Span] = {result: (Fraction(0), Fraction(1))}
    for name, operator in reversed(operators):
        wanted = [spans[tensor] for tensor in operator.outputs if tensor in spans]
        if not wanted:
            continue
        for tensor in operator.inputs:
            if tensor not in factors:  # a constant
                continue
            span = _union(*wanted)
            if name in _CONVOLUTIONS:
                taps = _taps(name, operator, tensors, axis)
                span = _widened(span, factors[operator.outputs[0]], factors[tensor], taps)
            spans[tensor] = _union(span, spans.get(tensor, span))
    if image not in spans:
        raise InputError("the file's output does not depend on its input; export it again")
    start, end = spans[image]
    return max(-floor(start), ceil(end) - 1)


def _factor(name: str, operator: Any, tensors: list[Any], factor: int, image: int) -> int:
    """Pixels of the operator's output per LR pixel on each axis."""
    options = operator.builtinOptions
    if name in _POINTWISE:
        return factor
    if name == "DEPTH_TO_SPACE":
        return factor * options.blockSize
    if name in ("RESHAPE", "TRANSPOSE"):
        shape, lr = tensors[operator.outputs[0]].shape, tensors[image].shape
        is_image = len(shape) == 4 and shape[0] == 1 and shape[1] * lr[2] == shape[2] * lr[1]
        return int(shape[1] // lr[1]) if is_image else 0
    if name in _CONVOLUTIONS and factor:
        strides = (options.strideH, options.strideW)
        kernel = tuple(tensors[operator.inputs[1]].shape[1:3])
        up = name == "TRANSPOSE_CONV"
        padded = options.padding == schema.Padding.SAME or kernel == (strides if up else (1, 1))
        if padded and strides[0] == strides[1] and (up or strides[0] == 1):
            return factor * strides[0]
    raise InputError(
        f"cannot tell how far an operator of the file sees: {name} with {_settings(options)}; "
        "give the halo, in LR pixels"
    )


def _taps(name: str, operator: Any, tensors: list[Any], axis: int) -> Callable[[int, int], Any]:
    """A function from the (first, last) output pixel of a convolution to those of its input."""
    options = operator.builtinOptions
    kernel = int(tensors[operator.inputs[1]].shape[1 + axis])
    if name == "TRANSPOSE_CONV":
        stride = options.strideH
        before = max(kernel - stride, 0) // 2
        return lambda first, last: (
            -((kernel - 1 - before - first) // stride),
            (last + before) // stride,
        )
    dilation = (options.dilationHFactor, options.dilationWFactor)[axis]
    reach = (kernel - 1) * dilation
    return lambda first, last: (first - reach // 2, last - reach // 2 + reach)


def _widened(span: _Span, out: int, into: int, taps: Callable[[int, int], Any]) -> _Span:
    first, last = taps(floor(span[0] * out), ceil(span[1] * out) - 1)
    return Fraction(first, into), Fraction(last + 1, into)


def _union(*spans: _Span) -> _Span:
    return min(start for start, _ in spans), max(end for _, end in spans)


def _settings(options: Any) -> str:
    known = {key: value for key, value in vars(options).items() if value} if options else {}
    return ", ".join(f"{key}={value}" for key, value in known.items()) or "no settings"
