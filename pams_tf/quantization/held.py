"""How an integer file holds the tensor of a site."""

import dataclasses
from typing import Any, Protocol

import tensorflow as tf

from pams_tf.quantization.base import CodeGrid, Quantizer
from pams_tf.quantization.int8 import zero_point

Scalar = Any


class Unit(Protocol):
    """Values in a file are the network's values times this number, for the current ranges.

    Two units that are equal are the same number at any time.
    """

    def __call__(self) -> Scalar:
        """The number, a float64 scalar."""


@dataclasses.dataclass(frozen=True)
class FixedUnit:
    """A number that no range changes."""

    factor: float = 1.0

    def __call__(self) -> Scalar:
        return tf.constant(self.factor, tf.float64)


@dataclasses.dataclass(frozen=True)
class ClippingUnit:
    """The unit in which an operator that clips at `bound` clips at the end of a grid."""

    quantizer: Quantizer
    bound: float

    def __call__(self) -> Scalar:
        scale, qmin, qmax = self.quantizer.steps()
        return self.bound / (scale * tf.cast(tf.maximum(-qmin, qmax), tf.float64))


@dataclasses.dataclass(frozen=True)
class ProductUnit:
    """The unit of a product."""

    first: Unit
    second: Unit

    def __call__(self) -> Scalar:
        return self.first() * self.second()


@dataclasses.dataclass(frozen=True)
class RescaledUnit:
    """The unit of values that are multiplied while the file leaves them as they are."""

    unit: Unit
    factor: float

    def __call__(self) -> Scalar:
        return self.unit() / self.factor


ONE = FixedUnit()


@dataclasses.dataclass(frozen=True)
class InFile:
    """How a file made now would hold a tensor.

    Attributes:
      grid: the codes and their scale in the network.
      unit: values in the file are the network's values times this unit.
      zero_point: the int8 code of 0.
      clips: whether the tensor must be clipped to stay on its grid.
      fused: whether the operator that computes it does that.
    """

    grid: CodeGrid
    unit: float
    zero_point: int
    clips: bool
    fused: bool

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
      unit: the unit.
      factor: values are the quantizer's times this; another than 1 behind `Sites.rescaled`.
      clips: whether the tensor must be clipped to stay on its grid.
      copy: how many sites before this one hold the result of the same convolution.
    """

    def __init__(
        self,
        quantizer: Quantizer,
        unit: Unit = ONE,
        *,
        factor: float = 1.0,
        clips: bool = False,
        copy: int = 0,
    ) -> None:
        self.quantizer = quantizer
        self.unit = unit
        self.factor = factor
        self.clips = clips
        self.copy = copy

    def scale(self) -> Scalar:
        """The value of code 1: a float64 scalar."""
        return self.quantizer.steps()[0] * self.factor

    def file_scale(self, unit: Scalar | None = None) -> Scalar:
        """The float32 scale of the tensor in the file, in its own unit or in another one."""
        unit = self.unit() if unit is None else unit
        return tf.cast(unit * self.scale(), tf.float32)

    def rescaled(self, factor: float) -> "Held":
        """The same codes as values that are `factor` times as large."""
        unit: Unit = RescaledUnit(self.unit, factor)
        if isinstance(self.unit, FixedUnit):
            unit = FixedUnit(self.unit.factor / factor)
        return Held(
            self.quantizer, unit, factor=self.factor * factor, clips=self.clips, copy=self.copy
        )

    def in_file(self) -> InFile:
        """The current numbers."""
        grid = self.quantizer.grid
        zero = zero_point(grid)
        grid = dataclasses.replace(grid, scale=float(self.scale()))
        fused = self.clips and isinstance(self.unit, ClippingUnit)
        return InFile(grid, float(self.unit()), zero, self.clips, fused)
