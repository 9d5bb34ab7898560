"""Activation quantizers whose range has two ends, neither of which depends on the other."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.grid import unsigned_qmax
from pams_tf.quantization import functional
from pams_tf.quantization.base import SMALLEST_ALPHA, ActivationQuantizer, Positive, number


@keras.saving.register_keras_serializable("pams_tf")
class NotPositive(keras.constraints.Constraint):
    """Keeps the lower end of a range at 0 or below, and at `minimum` or above."""

    def __init__(self, minimum: float | None = None) -> None:
        self.minimum = minimum

    def __call__(self, w: Any) -> Any:
        w = keras.ops.minimum(w, 0.0)
        return w if self.minimum is None else keras.ops.maximum(w, self.minimum)

    def get_config(self) -> dict[str, Any]:
        return {"minimum": self.minimum}


class EndsQuantizer(ActivationQuantizer):
    """A quantizer on the grid of `functional.min_max_grid`, from `minimum` to `maximum`.

    Args:
      bits: 2 to 16.
      initial_range: both ends before any calibration; must contain 0 and not be empty. A range that
        starts at 0 is for tensors after a ReLU.
      learned: whether training updates the ends by their gradients.
      calibration, beta, ceiling: see `ActivationQuantizer`; the rule applies to each end.
    """

    def __init__(
        self,
        bits: int,
        initial_range: tuple[float, float],
        *,
        learned: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(bits=bits, **kwargs)
        low, high = initial_range
        if not low <= 0 < high:
            raise ValueError(f"the range [{low}, {high}] must contain 0 and not be empty")
        self.initial_range = (float(low), float(high))
        furthest = None if self.ceiling is None else -self.ceiling
        self.minimum, self.maximum = (
            self.add_weight(
                name=name,
                shape=(),
                initializer=keras.initializers.Constant(end),
                constraint=constraint,
                trainable=learned,
            )
            for name, end, constraint in (
                ("minimum", low, NotPositive(furthest)),
                ("maximum", high, Positive(maximum=self.ceiling)),
            )
        )

    @property
    def alpha(self) -> Any:
        return tf.maximum(-self.minimum.value, self.maximum.value)

    @property
    def ends(self) -> tuple[Any, Any]:
        """(minimum, maximum), float32 scalars."""
        return self.minimum.value, self.maximum.value

    @property
    def range(self) -> dict[str, float]:
        ends = {"minimum": number(self.minimum), "maximum": number(self.maximum)}
        return {**super().range, **ends}

    def steps(self) -> tuple[Any, Any, Any]:
        scale, qmin, qmax = functional.min_max_grid(
            self.minimum.value, self.maximum.value, self.bits
        )
        return tf.cast(scale, tf.float64), qmin, qmax

    @property
    def reach(self) -> int:
        return unsigned_qmax(self.bits)

    @property
    def _initial_range(self) -> dict[str, float]:
        low, high = (float(np.float32(end)) for end in self.initial_range)
        return {"alpha": max(-low, high), "minimum": low, "maximum": high}

    def restore_range(self, numbers: Mapping[str, Any]) -> None:
        low, high = float(numbers["minimum"]), float(numbers["maximum"])
        self.minimum.assign(low)
        self.maximum.assign(high)

    def set_range(self, alpha: float) -> None:
        alpha = max(alpha, SMALLEST_ALPHA)
        self.minimum.assign(-alpha if self.initial_range[0] < 0 else 0.0)
        self.maximum.assign(alpha)

    def fit_range(self, seen: functional.Histogram) -> None:
        low, high = functional.best_ends(seen, self.bits)
        self.minimum.assign(low)
        self.maximum.assign(max(high, SMALLEST_ALPHA))
        self.observations.assign_add(1)

    def _adapt(self, minima: Any, maxima: Any) -> None:
        low = self._calibrated(-tf.convert_to_tensor(self.minimum), -tf.minimum(minima, 0.0))
        high = self._calibrated(
            tf.convert_to_tensor(self.maximum), tf.maximum(maxima, SMALLEST_ALPHA)
        )
        self.minimum.assign(-low)
        self.maximum.assign(high)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "initial_range": self.initial_range}
