"""The quantizer of TensorFlow Lite's quantization-aware training: its range follows the data."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.grid import unsigned_qmax
from pams_tf.quantization import functional
from pams_tf.quantization.base import SMALLEST_ALPHA, ActivationQuantizer, number


@keras.saving.register_keras_serializable("pams_tf")
class MinMaxQuantizer(ActivationQuantizer):
    """TensorFlow Lite: `functional.min_max` between moving averages (Jacob et al. 2018).

    Each training step moves both ends towards the smallest and the largest value of its batch and
    then quantizes with them; inference leaves them unchanged. They receive no gradient and are
    saved with the network.

    Input and output: float32, any shape with the samples first.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import MinMaxQuantizer
      >>> layer = MinMaxQuantizer(bits=2, initial_range=(-1.0, 2.0))
      >>> layer(np.float32([[-0.9, 0.4, 3.0]])).numpy().tolist()
      [[-1.0, 0.0, 2.0]]

    Args:
      bits: 2 to 16.
      decay: decay of the moving averages in training; 0.999 in TensorFlow.
      initial_range: both ends before any calibration; must contain 0 and not be empty. A range that
        starts at 0 is for tensors after a ReLU.
      calibration, beta: see `ActivationQuantizer`; the rule applies to each end.

    Raises:
      ValueError: bits, calibration, decay or initial_range is not possible.

    Source: Jacob et al. 2018, arXiv 1712.05877, Section 3.1.
    """

    follows = True

    def __init__(
        self,
        bits: int = 8,
        decay: float = 0.999,
        initial_range: tuple[float, float] = (-10.0, 10.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(bits=bits, **kwargs)
        if not 0 <= decay <= 1:
            raise ValueError(f"decay={decay!r} is not possible; give a number from 0 to 1")
        low, high = initial_range
        if not low <= 0 < high:
            raise ValueError(f"the range [{low}, {high}] must contain 0 and not be empty")
        self.decay = decay
        self.initial_range = (float(low), float(high))
        self.minimum, self.maximum = (
            self.add_weight(
                name=name,
                shape=(),
                initializer=keras.initializers.Constant(end),
                trainable=False,
            )
            for name, end in zip(("minimum", "maximum"), self.initial_range, strict=True)
        )

    @property
    def alpha(self) -> Any:
        return tf.maximum(-self.minimum.value, self.maximum.value)

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

    @property
    def reach(self) -> int:
        return unsigned_qmax(self.bits)

    def codes(self, tensors: Any, arithmetic: Any, **settings: Any) -> Any:
        return functional.min_max_codes(
            tensors, arithmetic, self.minimum.value, self.maximum.value, self.bits, **settings
        )

    def observe_training(self, values: Any) -> None:
        lowest, highest = _of_the_whole_batch(tf.reduce_min(values), tf.reduce_max(values))
        if self.ceiling is not None:
            lowest, highest = tf.maximum(lowest, -self.ceiling), tf.minimum(highest, self.ceiling)
        self.minimum.assign(self._moved(self.minimum, tf.minimum(lowest, 0.0)))
        self.maximum.assign(self._moved(self.maximum, tf.maximum(highest, SMALLEST_ALPHA)))

    def _moved(self, end: keras.Variable, observed: Any) -> Any:
        return functional.moving_average(end.value, tf.stop_gradient(observed), self.decay)

    def _adapt(self, minima: Any, maxima: Any) -> None:
        low = self._calibrated(-tf.convert_to_tensor(self.minimum), -tf.minimum(minima, 0.0))
        high = self._calibrated(
            tf.convert_to_tensor(self.maximum), tf.maximum(maxima, SMALLEST_ALPHA)
        )
        self.minimum.assign(-low)
        self.maximum.assign(high)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "decay": self.decay,
            "initial_range": self.initial_range,
        }


def _of_the_whole_batch(lowest: Any, highest: Any) -> tuple[Any, Any]:
    """The extremes over all replicas of a `tf.distribute` strategy, each of which has a part."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return lowest, highest
    ends = context.all_gather(tf.stack([lowest, highest])[None], axis=0)
    return tf.reduce_min(ends[:, 0]), tf.reduce_max(ends[:, 1])
