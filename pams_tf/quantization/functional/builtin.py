"""How LiteRT's builtin kernels requantize the operators that XNNPACK leaves to them.

They multiply in fixed point: a factor is q * 2^-(31 + shift), with q a whole number of 31 bits. A
sum times q is rounded half up to a whole number of 2^31, and this to one of 2^shift.

Source: behaviour of ai-edge-litert 2.3, found by comparison with files and held by the tests.
"""

import tensorflow as tf

from pams_tf.quantization.functional.codes import Arithmetic, Backward, Steps, Tensor, to_each


def requantization(multiplier: Tensor) -> Arithmetic:
    """Of the sums of a convolution with int4 weights; the second rounding is half up, too.

    Args:
      multiplier: float64 scalar or one per channel, see `xnnpack.requantization_multiplier`.
    """

    def compute(sums: Tensor) -> tuple[Steps, Backward]:
        high, shift = _multiplied(sums, multiplier)
        half = tf.bitwise.left_shift(tf.ones_like(shift), shift) // 2
        whole = tf.bitwise.right_shift(high + half, shift)
        exact = sums * tf.cast(multiplier, tf.float32)
        return Steps(exact, tf.cast(whole, tf.float32)), to_each(1)

    return compute


def prelu(step: Tensor, source: Tensor, result: Tensor, value: Tensor | None = None) -> Arithmetic:
    """PRELU of codes and slopes; the second rounding is half away from zero.

    The slopes below 0 are float32 values, one per channel, whole multiples of `step`.

    Args:
      step: float32, the value of code 1 of the slopes.
      source, result: float32 scales.
      value: float32, the value of code 1 of the source, for the gradient to the slopes; by default
        its scale.
    """
    above = tf.cast(source, tf.float64) / tf.cast(result, tf.float64)
    below = above * tf.cast(step, tf.float64)
    value = source if value is None else value

    def compute(codes: Tensor, slopes: Tensor) -> tuple[Steps, Backward]:
        negative = codes < 0
        slope_codes = tf.round(slopes / step)
        steps = tf.where(negative, _half_away(codes * slope_codes, below), _half_away(codes, above))
        factor = tf.where(negative, slopes, 1.0)

        def backward(upstream: Tensor) -> list[Tensor | None]:
            to_slopes = tf.where(negative, upstream * codes, 0.0) * value
            return [
                upstream * factor,
                tf.reshape(tf.reduce_sum(to_slopes, axis=(0, 1, 2)), tf.shape(slopes)),
            ]

        return Steps(codes * tf.cast(above, tf.float32) * factor, steps), backward

    return compute


def _half_away(x: Tensor, multiplier: Tensor) -> Tensor:
    high, shift = _multiplied(x, multiplier)
    half = tf.bitwise.left_shift(tf.ones_like(shift), shift) // 2
    magnitude = tf.bitwise.right_shift(tf.abs(high) + half, shift)
    return tf.cast(tf.sign(high) * magnitude, tf.float32)


def _multiplied(x: Tensor, multiplier: Tensor) -> tuple[Tensor, Tensor]:
    """(x * q, rounded half up to a whole number of 2^31; the shift that is left), both int64."""
    # The bits of a float64: 52 of the mantissa below an exponent biased by 1023.
    exponent = tf.bitwise.right_shift(tf.bitcast(multiplier, tf.int64), 52) - 1022
    q = tf.cast(tf.round(multiplier * 2.0 ** tf.cast(31 - exponent, tf.float64)), tf.int64)
    x = tf.bitwise.left_shift(tf.cast(x, tf.int64), tf.maximum(exponent, 0))
    return tf.bitwise.right_shift(x * q + 2**30, 31), tf.maximum(-exponent, 0)
