"""How an integer file holds the tensor of a site."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from pams_tf.quantization.base import CodeGrid, Quantizer
from pams_tf.quantization.int8 import zero_point

Scalar = Any


@dataclasses.dataclass(frozen=True)
class InFile:
    """How a file made now would hold a tensor.

    Attributes:
      grid: the codes and their scale in the network.
      unit: values in the file are the network's values times this unit.
      zero_point: the int8 code of 0.
      clips: whether the tensor must be clipped to stay on its grid.
    """

    grid: CodeGrid
    unit: float
    zero_point: int
    clips: bool

    @property
    def scale(self) -> float:
        """The scale of the tensor in the file, before it is rounded to float32."""
        return self.unit * self.grid.scale


class Held:
    """The grid of a site's tensor and its unit in the file, for the current ranges.

    A file holds the network's values times a *unit*, so that a clip falls where an operator can
    clip by itself; see `export.integer_sites`. Codes do not depend on it, but the float32 scales
    with which a file computes do, in their last bit.

    Args:
      quantizer: the quantizer at the site.
      unit: returns the unit, a float64 scalar.
      rescaled: whether the unit is another than 1.
      clips: whether the tensor must be clipped to stay on its grid.
      copy: how many sites before this one hold the result of the same convolution.
    """

    def __init__(
        self,
        quantizer: Quantizer,
        unit: Callable[[], Scalar],
        *,
        rescaled: bool = False,
        clips: bool = False,
        copy: int = 0,
    ) -> None:
        self.quantizer = quantizer
        self.unit = unit
        self.rescaled = rescaled
        self.clips = clips
        self.copy = copy

    def scale(self) -> Scalar:
        """The value of code 1: a float64 scalar."""
        return self.quantizer.steps()[0]

    def file_scale(self, unit: Scalar | None = None) -> Scalar:
        """The float32 scale of the tensor in the file, in its own unit or in another one."""
        unit = self.unit() if unit is None else unit
        return tf.cast(unit * self.scale(), tf.float32)

    def in_file(self) -> InFile:
        """The current numbers."""
        grid = self.quantizer.grid
        return InFile(grid, float(self.unit()), zero_point(grid), self.clips)


def one() -> Scalar:
    """The unit of most tensors."""
    return tf.constant(1.0, tf.float64)


def clipping_unit(quantizer: Quantizer, bound: float) -> Callable[[], Scalar]:
    """The unit in which an operator that clips at `bound` clips at the end of a grid."""

    def unit() -> Scalar:
        scale, qmin, qmax = quantizer.steps()
        return bound / (scale * tf.cast(tf.maximum(-qmin, qmax), tf.float64))

    return unit
