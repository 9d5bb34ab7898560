"""Activation statistics for calibration: per-sample extremes and their running mean."""

from typing import Any

import tensorflow as tf

Tensor = Any


def sample_ranges(x: Tensor, percentile: float = 100.0) -> tuple[Tensor, Tensor]:
    """The smallest and the largest value of each sample, which is what calibration observes.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> minima, maxima = functional.sample_ranges(np.float32([[1.0, -3.0], [5.0, 2.0]]))
      >>> minima.numpy().tolist(), maxima.numpy().tolist()
      ([-3.0, 2.0], [1.0, 5.0])

    Args:
      x: float activations, NHWC; the first axis is the samples.
      percentile: below 100, take this percentile of each sample's values as its maximum, and the
        opposite one (100 - percentile) as its minimum, without interpolating between values.

    Returns:
      Minima (N,) and maxima (N,), of x's dtype.

    Raises:
      ValueError: the percentile is not above 50 and at most 100.

    Source: Li et al., ECCV 2020, Eq. 4; percentiles are not in the paper.
    """
    if not 50 < percentile <= 100:
        raise ValueError(f"percentile={percentile!r} is not possible; give one above 50 up to 100")
    values = tf.reshape(x, (tf.shape(x)[0], -1))
    if percentile == 100:
        return tf.reduce_min(values, axis=1), tf.reduce_max(values, axis=1)
    values = tf.sort(values, axis=1)
    last = tf.shape(values)[1] - 1
    highest = tf.cast(tf.round(tf.cast(last, tf.float64) * (percentile / 100)), tf.int32)
    return tf.gather(values, last - highest, axis=1), tf.gather(values, highest, axis=1)


def sample_maxima(x: Tensor) -> Tensor:
    """The largest magnitude of each sample.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> functional.sample_maxima(np.float32([[1.0, -3.0], [5.0, 2.0]])).numpy().tolist()
      [3.0, 5.0]

    Args:
      x: float activations, NHWC; the first axis is the samples.

    Returns:
      max|x| of each sample, (N,), of x's dtype.

    Source: Li et al., ECCV 2020, Eq. 4.
    """
    minima, maxima = sample_ranges(x)
    return tf.maximum(maxima, -minima)


def running_maximum(previous: Tensor, observed: Tensor, count: Tensor, beta: float) -> Tensor:
    """Paper, Eq. 4: beta * previous + (1 - beta) * observed, with beta = 0 at the first step.

    Example:
      >>> from pams_tf.quantization import functional
      >>> functional.running_maximum(10.0, 20.0, count=1, beta=0.9).numpy().round(3).item()
      11.0
      >>> functional.running_maximum(10.0, 20.0, count=0, beta=0.9).numpy().item()
      20.0

    Args:
      previous: alpha so far, a scalar.
      observed: mean of `sample_maxima` at this step, a scalar.
      count: number of steps averaged so far; at 0, the result is `observed`.
      beta: decay, 0 to 1; 0.9997 in the paper.

    Returns:
      alpha after this step, a float32 scalar in the unit of the activations.

    Source: Li et al., ECCV 2020, Eq. 4.
    """
    beta = tf.where(tf.equal(count, 0), 0.0, beta)
    return beta * previous + (1.0 - beta) * observed
