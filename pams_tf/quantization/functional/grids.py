"""Clipping and rounding to a grid: the core of PAMS, PACT and DoReFa."""

from typing import Any

import tensorflow as tf

Tensor = Any


def clip_and_round(
    x: Tensor,
    alpha: Tensor,
    codes: tuple[int, int],
    *,
    to_alpha: tuple[float, float] | None,
    rounding: bool = False,
) -> Tensor:
    """s * round(clip(x, qmin * s, alpha) / s) with s = alpha / qmax, rounding half to even.

    The gradient to x is straight through inside the range, 0 at its ends and outside.

    Args:
      x: float32, any shape.
      alpha: float32 scalar, positive.
      codes: (qmin, qmax), see `grid.qrange`.
      to_alpha: factors on the gradient that values clipped at the lower and at the upper end pass
        to alpha; None for no gradient to alpha.
      rounding: whether values inside the range also pass the gradient (x_q - x) / alpha to alpha.

    Returns:
      float32 of x's shape.
    """
    qmin, qmax = codes

    @tf.custom_gradient
    def quantize(x: Tensor, alpha: Tensor) -> Any:
        scale = alpha / qmax
        lower = qmin / qmax * alpha
        y = tf.round(tf.clip_by_value(x, lower, alpha) / scale) * scale

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor | None]:
            above, below = x >= alpha, x <= lower
            dx = tf.where(above | below, tf.zeros_like(upstream), upstream)
            if to_alpha is None:
                return dx, None
            at_lower, at_upper = to_alpha
            dalpha = at_upper * tf.reduce_sum(tf.where(above, upstream, 0.0))
            if at_lower:
                dalpha += at_lower * tf.reduce_sum(tf.where(below, upstream, 0.0))
            if rounding:
                dalpha += tf.reduce_sum(dx * (y - x)) / alpha
            return dx, tf.reshape(dalpha, tf.shape(alpha))

        return y, gradient

    return quantize(tf.convert_to_tensor(x), tf.convert_to_tensor(alpha))
