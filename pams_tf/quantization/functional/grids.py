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


def clip_and_round(x: Tensor, alpha: Tensor, codes: tuple[int, int]) -> Tensor:
    """s * round(clip(x, lowest * s, alpha) / s), s = alpha / largest; half to even.

    Without a gradient of its own: quantizers say what theirs is.
    """
    lowest, largest = codes
    scale = alpha / largest
    return tf.round(tf.clip_by_value(x, lowest / largest * alpha, alpha) / scale) * scale


def clipped(x: Tensor, alpha: Tensor, codes: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where x lies at or above the upper end of the range, and where at or below the lower one."""
    lowest, largest = codes
    return x >= alpha, x <= lowest / largest * alpha
