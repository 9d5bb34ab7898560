"""The quantizer of TensorFlow Lite's quantization-aware training: its range follows the data."""

from typing import Any

import keras
import tensorflow as tf

from pams_tf.quantization import functional
from pams_tf.quantization.base import SMALLEST_ALPHA
from pams_tf.quantization.ends import EndsQuantizer


@keras.saving.register_keras_serializable("pams_tf")
class MinMaxQuantizer(EndsQuantizer):
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
      initial_range: see `EndsQuantizer`.
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
        super().__init__(bits, initial_range, learned=False, **kwargs)
        if not 0 <= decay <= 1:
            raise ValueError(f"decay={decay!r} is not possible; give a number from 0 to 1")
        self.decay = decay

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

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay}


def _of_the_whole_batch(lowest: Any, highest: Any) -> tuple[Any, Any]:
    """The extremes over all replicas of a `tf.distribute` strategy, each of which has a part."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return lowest, highest
    ends = context.all_gather(tf.stack([lowest, highest])[None], axis=0)
    return tf.reduce_min(ends[:, 0]), tf.reduce_max(ends[:, 1])
