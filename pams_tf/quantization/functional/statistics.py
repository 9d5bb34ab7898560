"""What quantizers see of activations: extremes of samples, and their running means."""

from typing import Any

import tensorflow as tf

Tensor = Any


def sample_ranges(x: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest and the largest value of each sample: what calibration observes.

    Args:
      x: float, first axis the samples; NHWC activations.

    Returns:
      Minima (N,) and maxima (N,), of x's type.
    """
    axes = list(range(1, len(x.shape)))
    return tf.reduce_min(x, axis=axes), tf.reduce_max(x, axis=axes)


def sample_maxima(x: Tensor) -> Tensor:
    """max|x| of each sample (N,), for x as `sample_ranges` takes it."""
    minima, maxima = sample_ranges(x)
    return tf.maximum(maxima, -minima)


def running_maximum(previous: Tensor, observed: Tensor, count: Tensor, beta: float) -> Tensor:
    """Paper, Eq. 4: beta * previous + (1 - beta) * observed, with beta = 0 at the first step.

    Args:
      previous: alpha so far, scalar.
      observed: this step's mean of `sample_maxima`, scalar.
      count: steps already averaged; 0 takes `observed` as it is.
      beta: 0.9997 in the paper.
    """
    beta = tf.where(tf.equal(count, 0), 0.0, beta)
    return beta * previous + (1.0 - beta) * observed
