"""The scales that a file stores, as the converter rounds them to float32."""

from typing import Any

import tensorflow as tf

Tensor = Any


def accumulator_unit(kernel: Tensor, image: Tensor, unit: Tensor) -> Tensor:
    """The value of 1 in a convolution's sums: float64, of float32 scales and the result's unit."""
    return tf.cast(kernel, tf.float64) * tf.cast(image, tf.float64) / unit


def wider(x: Tensor, ulps: int) -> Tensor:
    """The float32 that is some ulps above a positive one."""
    return tf.bitcast(tf.bitcast(x, tf.int32) + ulps, tf.float32)


def divided(x: Tensor, constant: float) -> Tensor:
    """x / constant, in a graph too, where `/` becomes a multiplication by 1 / constant."""
    return tf.math.divide_no_nan(x, tf.constant(constant, x.dtype))


def stored_limit(step: Tensor, factor: Tensor, copy: int, qmax: int = 127) -> Tensor:
    """The weight that a file stores as the code `qmax`: float32, of the shape of `step`.

    Args:
      step: float64, the step of the kernel's grid.
      factor: float64 scalar by which the file's kernel differs from the network's: its unit.
      copy: a kernel that stands in a file several times has slightly different steps there, or the
        converter merges them: copy n is n float32 ulps wider, which changes no code.
      qmax: the largest code of the type in which it is stored.
    """
    limit = wider(tf.cast(step * qmax, tf.float32), copy)
    return limit * tf.cast(factor, tf.float32)


def stored_scale(limit: Tensor, qmax: int = 127) -> Tensor:
    """The float32 scale that the converter gives a kernel of that limit."""
    return tf.cast(divided(tf.cast(limit, tf.float64), qmax), tf.float32)
