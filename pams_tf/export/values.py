"""Lazy tensors of the integer graph: how each one is computed, and what its codes mean.

A value is not computed until something reads it. So the builder describes the whole network first,
and by the time operators are created all readers are known: no operator is created in vain.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.export.grids import int8_range

Part = Callable[[np.ndarray], "Value"]
"""Output channels -> the value with only these channels, computed without the others."""


class Value:
    """A tensor that the builder passes from one operator to the next.

    Attributes:
      channels: number of channels.
      unit: values in the file are the network's values times this unit.
      enlarged: (value, scale) if this is the depth-to-space of that value.
    """

    def __init__(self, channels: int, unit: float, part: Part | None) -> None:
        self.channels = channels
        self.unit = unit
        self.enlarged: tuple[Value, int] | None = None
        self._part = part

    def in_unit(self, unit: float) -> Any:
        """The TensorFlow tensor with the same codes, in the given unit."""
        raise NotImplementedError

    def part(self, channels: np.ndarray) -> "Value":
        """Only these channels; they are sliced from the whole if they cannot be computed alone."""
        if self._part is not None:
            return self._part(channels)
        first, last = int(channels[0]), int(channels[-1]) + 1
        return self._sliced(slice(first, last))

    def _sliced(self, channels: slice) -> "Value":
        raise NotImplementedError


class Result(Value):
    """The result of an operator before it is put on a grid, which the site behind it chooses.

    Attributes:
      make: (unit, clipped) -> the tensor in that unit; if `clipped`, it is clipped at bound and at
        -bound, or at 0 behind a ReLU.
      bound: where the operator itself can clip; None if it cannot, and then the unit is 1.
    """

    def __init__(
        self,
        make: Callable[[float, bool], Any],
        channels: int,
        *,
        bound: float | None,
        unit: float = 1.0,
        part: Part | None = None,
    ) -> None:
        super().__init__(channels, unit, part)
        self.make = make
        self.bound = bound

    def in_unit(self, unit: float) -> Any:
        return self.make(unit, False)

    def _sliced(self, channels: slice) -> "Result":
        return Result(
            lambda unit, clipped: self.make(unit, clipped)[..., channels],
            channels.stop - channels.start,
            bound=self.bound,
            unit=self.unit,
        )


class Held(Value):
    """A tensor on its grid, as the file stores it.

    Attributes:
      name: the name that the file's tensors get: that of the site, or of the operator that moves
        the site's values.
      scale, zero_point: of the grid, in the value's unit.
      convolved: whether a convolution reads it. If so it is in the file anyway, and another unit is
        made by rescaling it instead of computing it again.
    """

    def __init__(
        self,
        name: str,
        compute: Callable[[], Any],
        channels: int,
        scale: float,
        zero_point: int,
        *,
        unit: float = 1.0,
        remake: Callable[[float], "Held | None"] | None = None,
        part: Part | None = None,
    ) -> None:
        super().__init__(channels, unit, part)
        self.name = name
        self.scale = scale
        self.zero_point = zero_point
        self.convolved = False
        self._compute = compute
        self._remake = remake
        self._other_units: dict[float, Any] = {}

    @functools.cached_property
    def tensor(self) -> Any:
        """The TensorFlow tensor, computed when it is first read."""
        # An absolute scope, or the tensor would be named after the site that reads it first.
        with tf.name_scope(f"{self.name}/"):
            return self._compute()

    def in_unit(self, unit: float) -> Any:
        if unit == self.unit:
            return self.tensor
        if unit not in self._other_units:
            self._other_units[unit] = self._in_other_unit(unit)
        return self._other_units[unit]

    def moved(self, name: str, compute: Callable[[], Any], channels: int) -> "Held":
        """A tensor that holds the same values in another arrangement."""
        return Held(name, compute, channels, self.scale, self.zero_point, unit=self.unit)

    def _in_other_unit(self, unit: float) -> Any:
        remade = None
        if self._remake is not None and not self.convolved:
            remade = self._remake(unit)
        if remade is not None:
            return remade.tensor
        factor = unit / self.unit
        return on_grid(self.tensor * _one(factor), self.scale * factor, self.zero_point)

    def _sliced(self, channels: slice) -> "Held":
        count = channels.stop - channels.start
        return self.moved(self.name, lambda: self.tensor[..., channels], count)


def on_grid(x: Any, scale: float, zero_point: int) -> Any:
    """Express a grid as the fake quantization that the converter turns into an int8 tensor."""
    return tf.quantization.fake_quant_with_min_max_args(x, *int8_range(scale, zero_point))


def _one(factor: float) -> Any:
    """A constant factor stored as the code 1: multiplying by it scales a grid and keeps codes."""
    constant = tf.constant(factor, tf.float32)
    return tf.quantization.fake_quant_with_min_max_args(constant, *int8_range(factor, 0))
