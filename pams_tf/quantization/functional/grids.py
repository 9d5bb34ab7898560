"""Clipping and rounding to a grid: the core of PAMS, PACT and DoReFa."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pams_tf.grid import qrange
from pams_tf.quantization.functional.codes import Arithmetic, as_values, passing, rounding

Tensor = Any


class ToRange(NamedTuple):
    """Factors on the gradient to the numbers that define a range: scalars, or (R,) for R numbers.

    Attributes:
      lower, upper: for values that are clipped at the lower and at the upper end.
      inside: for values inside, on their rounding error in steps, x_q / scale - x / scale.
    """

    lower: Any
    upper: Any
    inside: Any = 0.0


# Steps are quotients in float32: the end of a range may be found a rounding or two beside its code.
UNDER, OVER = 1 - 2.0**-22, 1 + 2.0**-22


def clip_and_round(
    tensors: Sequence[Tensor],
    arithmetic: Arithmetic,
    range: Tensor,
    ends: tuple[Tensor, Tensor],
    *,
    to_range: ToRange | None,
    inclusive: bool = False,
) -> Tensor:
    """Codes: the whole steps that `arithmetic` makes of the tensors, clipped to `ends`.

    The gradient to the tensors is straight through between the ends and 0 outside. It is a gradient
    of values; see `functional.codes`.

    Args:
      tensors: the inputs of the arithmetic.
      arithmetic: how they become steps of the grid.
      range: float32, the numbers that define the range, for their gradient alone.
      ends: (lowest, highest) code.
      to_range: what passes to `range`; None for no gradient to it.
      inclusive: whether the gradient passes at the ends themselves.

    Returns:
      float32 whole numbers of the shape of the result.
    """
    low, high = ends

    @tf.custom_gradient
    def quantize(range: Tensor, *tensors: Tensor) -> Any:
        (exact, whole), backward = arithmetic(*tensors)
        codes = tf.clip_by_value(whole, low, high)

        def gradient(upstream: Tensor) -> tuple[Tensor | None, ...]:
            if inclusive:
                above, below = exact > high * OVER, exact < low * OVER
            else:
                above, below = exact >= high * UNDER, exact <= low * UNDER
            dx = passing(upstream, tf.logical_not(above | below))
            if to_range is None:
                return None, *backward(dx)
            to_it = to_range.upper * tf.reduce_sum(passing(upstream, above))
            if np.any(to_range.lower):
                to_it += to_range.lower * tf.reduce_sum(passing(upstream, below))
            if np.any(to_range.inside):
                to_it += to_range.inside * tf.reduce_sum(dx * (codes - exact))
            return tf.reshape(to_it, tf.shape(range)), *backward(dx)

        return codes, gradient

    return quantize(tf.convert_to_tensor(range), *tensors)


def code_ends(qmin: float, qmax: float, nonnegative: bool) -> tuple[float, float]:
    """The ends of a grid, or of its half from 0 up if a ReLU comes first."""
    return (max(qmin, 0) if nonnegative else qmin), qmax


def fake_quantized_to_alpha(
    quantize: Any, x: Tensor, alpha: Tensor, bits: int, **settings: Any
) -> Tensor:
    """Float values on the grid of a range: `fake_quantized` by a function of alpha and bits.

    Args:
      quantize: (tensors, arithmetic, alpha, bits, **settings) -> codes, such as `pams_codes`.
      x, alpha, bits: its values, float32; its range; its bit width.
      **settings: unsigned, full_range, and those of the method.
    """
    _, qmax = qrange(bits, unsigned=settings["unsigned"], full_range=settings["full_range"])
    return fake_quantized(partial(quantize, alpha=alpha, bits=bits, **settings), x, alpha / qmax)


def fake_quantized(quantize: Any, x: Tensor, scale: Tensor) -> Tensor:
    """Float values on a grid: scale * quantize([x], arithmetic), with the gradients of `quantize`.

    Args:
      quantize: (tensors, arithmetic) -> codes.
      x: float32 values.
      scale: float32 scalar.
    """
    codes = quantize([tf.convert_to_tensor(x)], rounding(scale))
    return as_values(codes, values=lambda codes: codes * scale)
