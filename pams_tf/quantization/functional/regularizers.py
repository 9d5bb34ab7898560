"""Losses on what a grid does badly: values beyond its ends, and weights between two codes."""

from typing import Any

import tensorflow as tf

Tensor = Any


def overflow(x: Tensor, alpha: Tensor, ends: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """The mean of (max(|x| - alpha, 0) / alpha)^2: what lies beyond a range, in ranges.

    Its gradient moves the activations towards the range and leaves the range alone.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> functional.overflow(np.float32([1.0, -3.0, 2.0, 0.0]), alpha=2.0).numpy().item()
      0.0625

    Args:
      x: float32 activations, any shape.
      alpha: float32 scalar, positive, in x's unit.
      ends: (minimum, maximum) of a range that is not [-alpha, alpha].

    Returns:
      float32 scalar, 0 or more; 0 if nothing is clipped.

    Source: after the mismatch loss of ODM (arXiv 2307.13337), which applies such a loss only where
    its gradient agrees with that of the reconstruction; see `training.descent`.
    """
    alpha = tf.stop_gradient(tf.convert_to_tensor(alpha))
    low, high = (-alpha, alpha) if ends is None else (tf.stop_gradient(end) for end in ends)
    beyond = tf.nn.relu(x - high) + tf.nn.relu(low - x)
    return tf.reduce_mean(tf.square(beyond / alpha))


def off_grid(w: Tensor, quantized: Tensor, step: Tensor) -> Tensor:
    """The sum of ((w - quantized) / step)^2: how far weights are from their codes.

    Weights beyond the ends of the grid count as if they were at the ends. The gradient pulls each
    weight to its code, which is constant, and keeps it from swinging between two of them.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> w, quantized = np.float32([0.5, 3.0, 2.0]), np.float32([0.0, 3.0, 2.0])
      >>> functional.off_grid(w, quantized, step=1.0).numpy().item()
      0.25

    Args:
      w: float32 weights, any shape.
      quantized: the same on the grid.
      step: float32 step of the grid, positive, broadcast over w.

    Returns:
      float32 scalar in squared steps, 0 or more.

    Source: the dampening of Nagel et al. 2022 (arXiv 2203.11086), Eq. 6, in steps of the grid.
    """
    quantized, step = tf.stop_gradient(quantized), tf.stop_gradient(step)
    steps = tf.clip_by_value((w - quantized) / step, -0.5, 0.5)
    return tf.reduce_sum(tf.square(steps))
