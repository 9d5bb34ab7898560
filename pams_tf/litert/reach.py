"""How far a pixel of a network's result sees: spans of pixels, followed from the result back.

Everything here is about one axis. A span (first, last) of pixels of an operator's output is
computed from a span of each input; this is what the functions below say, for one kind of operator
each. Tensors of an image have a *density*, their pixels per LR pixel.
"""

import dataclasses
import math
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from typing import NamedTuple

Span = Callable[[int, int], tuple[int, int]]
"""The first and last pixel of an output -> those of its input."""


class Reach(NamedTuple):
    """What a pixel of the result depends on, in LR pixels.

    Attributes:
      radius: on each side of the LR pixel that it enlarges; None for the whole image.
      step: an image that is shifted by a multiple of it gives the shifted result. It is 1 without
        strides.
    """

    radius: int | None
    step: int


@dataclasses.dataclass(frozen=True)
class Reading:
    """An operator.

    Attributes:
      output: its result.
      inputs: the tensors of the image that it reads.
      span: see `Span`; None if it reads the whole image.
      density: pixels of the output per pixel of an input.
    """

    output: Hashable
    inputs: Sequence[Hashable]
    span: Span | None
    density: Fraction = Fraction(1)


def pointwise(first: int, last: int) -> tuple[int, int]:
    """Each pixel of one."""
    return first, last


def window(size: int, stride: int = 1, dilation: int = 1, before: int | None = None) -> Span:
    """A convolution whose kernel begins `before` pixels in front; None for padding "same".

    The image is then as long as a multiple of the stride.
    """
    length = (size - 1) * dilation
    start = max(length + 1 - stride, 0) // 2 if before is None else before
    return lambda first, last: (first * stride - start, last * stride - start + length)


def transposed_window(size: int, stride: int, before: int) -> Span:
    """A transposed convolution, from whose full result `before` pixels are cut in front."""
    return lambda first, last: (
        -((size - 1 - before - first) // stride),
        (last + before) // stride,
    )


def enlarged(factor: Fraction) -> Span:
    """Blocks of pixels: `factor` pixels for one, or one for 1/factor pixels."""
    return lambda first, last: (
        math.floor(first / factor),
        math.ceil((last + 1) / factor) - 1,
    )


def shifted(begin: int, stride: int = 1) -> Span:
    """A slice that begins at a pixel; a border in front is a begin below 0."""
    return lambda first, last: (first * stride + begin, last * stride + begin)


def bilinear(scale: int) -> Span:
    """Bilinear enlargement with half-pixel centres."""
    return lambda first, last: (
        math.floor(Fraction(2 * first + 1, 2 * scale) - Fraction(1, 2)),
        math.floor(Fraction(2 * last + 1, 2 * scale) - Fraction(1, 2)) + 1,
    )


def reach(readings: Sequence[Reading], image: Hashable, result: Hashable) -> Reach | None:
    """The reach of a network on one axis.

    Args:
      readings: its operators, in order of execution.
      image, result: the tensors at its ends.

    Returns:
      None if the result does not depend on the image.
    """
    density = {image: Fraction(1)}
    for reading in readings:
        density[reading.output] = max(density[name] for name in reading.inputs) * reading.density
    step = math.lcm(*(value.denominator for value in density.values()))
    scale = density[result]
    radius = 0
    for pixel in range(step):
        ends = math.floor(pixel * scale), math.ceil((pixel + 1) * scale) - 1
        spans = _followed(readings, {result: ends})
        if spans is None:
            return Reach(None, step)
        if image not in spans:
            return None
        first, last = spans[image]
        radius = max(radius, pixel - first, last - pixel)
    return Reach(radius, step)


def wider(*axes: Reach) -> Reach:
    """The reach on the axis on which it is wider."""
    radii = [axis.radius for axis in axes if axis.radius is not None]
    radius = max(radii) if len(radii) == len(axes) else None
    return Reach(radius, math.lcm(*(axis.step for axis in axes)))


def _followed(
    readings: Sequence[Reading], spans: dict[Hashable, tuple[int, int]]
) -> dict[Hashable, tuple[int, int]] | None:
    """The spans of all tensors; None if one of them is the whole image."""
    for reading in reversed(readings):
        if reading.output not in spans:
            continue
        if reading.span is None:
            return None
        first, last = reading.span(*spans[reading.output])
        for name in reading.inputs:
            before = spans.get(name, (first, last))
            spans[name] = min(first, before[0]), max(last, before[1])
    return spans
