"""Grids: how many codes a width has, and values clipped and rounded to them."""

from typing import Any

import tensorflow as tf

Tensor = Any


def levels(bits: int) -> int:
    """The largest code of a symmetric signed grid: 2**(bits-1) - 1, e.g. 127 for 8 bits.

    Raises:
      ValueError: `bits` is not a whole number from 2 to 16.
    """
    return (steps(bits) - 1) // 2


def steps(bits: int) -> int:
    """The largest code of an unsigned grid: 2**bits - 1, e.g. 255 for 8 bits.

    Raises:
      ValueError: `bits` is not a whole number from 2 to 16.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 16:
        raise ValueError(f"bits={bits!r} is not possible; choose a whole number from 2 to 16")
    return 2**bits - 1


def code_range(bits: int, unsigned: bool = False, full_range: bool = False) -> tuple[int, int]:
    """The lowest and the largest code of a grid whose code c means the value c * s.

    (0, 2**bits - 1) for an unsigned grid and (-n, n), n = 2**(bits-1) - 1, for a signed one; with
    `full_range` (-n - 1, n), which is every code of a signed integer.

    Raises:
      ValueError: bits out of range, or both of the others at once.
    """
    if unsigned and full_range:
        raise ValueError("unsigned=True and full_range=True exclude each other; choose one")
    if unsigned:
        return 0, steps(bits)
    return -levels(bits) - full_range, levels(bits)


def clip_and_round(
    x: Tensor,
    alpha: Tensor,
    codes: tuple[int, int],
    to_alpha: tuple[float, float] | None,
    rounding: bool = False,
) -> Tensor:
    """s * round(clip(x, lowest * s, alpha) / s), s = alpha / largest; half to even.

    Gradient to x: straight through inside the range, 0 at its ends and outside.

    Args:
      x: float32, any shape.
      alpha: float32 scalar, positive.
      codes: lowest and largest, see `code_range`.
      to_alpha: what each value clipped at the lower and at the upper end gives alpha of its
        gradient; None for no gradient to alpha at all.
      rounding: inside the range alpha also receives (x_q - x) / alpha.

    Returns:
      float32 of x's shape.
    """
    lowest, largest = codes

    @tf.custom_gradient
    def quantize(x: Tensor, alpha: Tensor) -> Any:
        scale = alpha / largest
        lower = lowest / largest * alpha
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
