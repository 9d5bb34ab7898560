"""Lazy tensors of the integer graph: how each one is computed, and what its codes mean.

A value is not computed until something reads it. So the builder describes the whole network first,
and no operator is created in vain.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.quantization.int8 import int8_range

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
        self._copies = itertools.count()

    def in_unit(self, unit: float) -> Any:
        """The TensorFlow tensor with the same codes, in the given unit."""
        raise NotImplementedError

    def for_site(self, copy: int, unit: float) -> Any:
        """The tensor in a unit, for a site that brings it to its own grid.

        Each of several sites gets an operator of its own, number `copy`. Their constants are a few
        float32 ulps apart, or the converter would merge them and requantize the result twice.
        """
        raise NotImplementedError

    def next_copy(self) -> int:
        """The number of the site that reads it next, in the builder's order: 0 for the first."""
        return next(self._copies)

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
      make: (unit, clipped, copy) -> the tensor in that unit; if `clipped`, it is clipped at bound
        and at -bound, or at 0 behind a ReLU; `copy` counts the sites that hold it.
      bound: where the operator itself can clip; None if it cannot.
    """

    def __init__(
        self,
        make: Callable[[float, bool, int], Any],
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
        return self.make(unit, False, 0)

    def for_site(self, copy: int, unit: float) -> Any:
        return self.make(unit, False, copy)

    def _sliced(self, channels: slice) -> "Result":
        return Result(
            lambda unit, clipped, copy: self.make(unit, clipped, copy)[..., channels],
            channels.stop - channels.start,
            bound=self.bound,
            unit=self.unit,
        )


class Held(Value):
    """A tensor on its grid, as the file stores it.

    Attributes:
      name: the name that the file's tensors get: that of the site, or of the operator that moves
        the site's values.
      scale: of the grid, in unit 1.
      zero_point: of the grid.
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
        part: Part | None = None,
    ) -> None:
        super().__init__(channels, unit, part)
        self.name = name
        self.scale = scale
        self.zero_point = zero_point
        self._compute = compute
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
            scaled = self.tensor * _one(unit / self.unit)
            self._other_units[unit] = on_grid(scaled, unit * self.scale, self.zero_point)
        return self._other_units[unit]

    def for_site(self, copy: int, unit: float) -> Any:
        # The MUL of number 0 is that of `in_unit`, which has a grid of its own.
        return self.tensor if self.unit == unit else self.tensor * _one(unit / self.unit, copy + 1)

    def moved(self, name: str, compute: Callable[[], Any], channels: int) -> "Held":
        """A tensor that holds the same values in another arrangement."""
        return Held(name, compute, channels, self.scale, self.zero_point, unit=self.unit)

    def rescaled(self, factor: float, unit: float) -> "Held":
        """The same tensor as values that are `factor` times as large, in their unit."""
        return Held(
            self.name,
            lambda: self.tensor,
            self.channels,
            self.scale * factor,
            self.zero_point,
            unit=unit,
        )

    def _sliced(self, channels: slice) -> "Held":
        count = channels.stop - channels.start
        return self.moved(self.name, lambda: self.tensor[..., channels], count)


def on_grid(x: Any, scale: float, zero_point: int) -> Any:
    """Express a grid as the fake quantization that the converter turns into an int8 tensor."""
    return tf.quantization.fake_quant_with_min_max_args(x, *int8_range(scale, zero_point))


def _one(factor: float, copy: int = 0) -> Any:
    """A constant factor stored as the code 1: multiplying by it scales a grid and keeps codes."""
    factor = float(np.float32(factor))
    for _ in range(copy):
        factor = float(np.nextafter(np.float32(factor), np.float32(np.inf)))
    constant = tf.constant(factor, tf.float32)
    return tf.quantization.fake_quant_with_min_max_args(constant, *int8_range(factor, 0))
