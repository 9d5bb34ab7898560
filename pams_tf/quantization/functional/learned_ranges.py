"""Activation quantizers with a trained range: PAMS, with one or two ends, and PACT."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from pams_tf.grid import qrange, unsigned_qmax
from pams_tf.quantization.functional.codes import Arithmetic
from pams_tf.quantization.functional.fixed_ranges import min_max_grid
from pams_tf.quantization.functional.grids import (
    ToRange,
    clip_and_round,
    code_ends,
    fake_quantized,
    fake_quantized_to_alpha,
)
from pams_tf.recipe import ALPHA_GRADIENTS

Tensor = Any


def pams(
    x: Tensor,
    alpha: Tensor,
    bits: int,
    *,
    unsigned: bool = False,
    full_range: bool = False,
    alpha_gradient: str = "eq3",
) -> Tensor:
    """Quantize to the grid of a learned maximum: s * round(clip(x, -alpha, alpha) / s).

    The paper's Eq. 1 and 2, with s = alpha / (2**(bits-1) - 1); rounding is half to even.

    Gradients (paper, Eq. 3): to x, 1 inside (-alpha, alpha) and 0 outside; to alpha, -1 for
    x <= -alpha, +1 for x >= alpha. Inside, alpha receives 0 with `alpha_gradient="eq3"` and
    (x_q - x) / alpha with `"rounding"`, as in the released code.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> functional.pams(np.float32([0.3, -2.0]), alpha=1.0, bits=2).numpy().tolist()
      [0.0, -1.0]

    Args:
      x: float32, any shape.
      alpha: float32 scalar, positive.
      bits: 2 to 16.
      full_range: also use the lowest code of a signed integer, -2**(bits-1), as an int8 tensor does
        unless it is clipped. The lower bound is then -(alpha + s), and its gradient to alpha
        -(alpha + s) / alpha.
      unsigned: for tensors after a ReLU; not in the paper. The range is [0, alpha] and
        s = alpha / (2**bits - 1), about half the scale. The lower bound is 0 whatever alpha is, so
        values clipped there pass no gradient to alpha.

    Returns:
      float32 of x's shape, in [-alpha, alpha], in [-(alpha + s), alpha], or in [0, alpha].

    Raises:
      ValueError: bits or alpha_gradient is not possible, or unsigned and full_range are both set.

    Source: Li et al., ECCV 2020, Eq. 1 to 3.
    """
    return fake_quantized_to_alpha(
        pams_codes,
        x,
        alpha,
        bits,
        unsigned=unsigned,
        full_range=full_range,
        alpha_gradient=alpha_gradient,
    )


def pams_codes(
    tensors: Sequence[Tensor],
    arithmetic: Arithmetic,
    alpha: Tensor,
    bits: int,
    *,
    unsigned: bool = False,
    full_range: bool = False,
    alpha_gradient: str = "eq3",
    nonnegative: bool = False,
) -> Tensor:
    """The codes of `pams`, with its gradients, of what an operator makes of other codes.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> from pams_tf.quantization.functional.codes import rounding
      >>> x = np.float32([0.3, -2.0])  # float values, which `rounding` divides by the scale
      >>> functional.pams_codes([x], rounding(1 / 7), 1.0, bits=4).numpy().tolist()
      [2.0, -7.0]

    Args:
      tensors, arithmetic: the operator's inputs, and how they become steps of this grid.
      alpha, bits, unsigned, full_range, alpha_gradient: see `pams`.
      nonnegative: a ReLU comes first; values below 0 then pass no gradient.

    Returns:
      float32 whole numbers; times alpha / qmax, they are the values.

    Raises:
      ValueError: see `pams`.

    Source: Li et al., ECCV 2020, Eq. 1 to 3.
    """
    inside = float(_rounding_counts(alpha_gradient))
    qmin, qmax = qrange(bits, unsigned=unsigned, full_range=full_range)
    ends = code_ends(qmin, qmax, nonnegative)
    # The lower bound in units of alpha; and alpha / qmax is the step.
    to_alpha = ToRange(ends[0] / qmax, 1.0, inside / qmax)
    return clip_and_round(tensors, arithmetic, alpha, ends, to_range=to_alpha)


def pams_ends(
    x: Tensor, minimum: Tensor, maximum: Tensor, bits: int, *, alpha_gradient: str = "eq3"
) -> Tensor:
    """Quantize to the grid between two learned ends, on which 0 is exact; not in the PAMS paper.

    The grid is that of `min_max`: s = (maximum - minimum) / (2**bits - 1), x_q = s * round(x / s),
    clipped to 2**bits codes that are shifted by less than a step so that one of them is 0.

    Gradients: to x, 1 inside the range and 0 at its ends and outside. To an end, 1 for the values
    that are clipped there. With `alpha_gradient="rounding"` the values inside, whose step both ends
    set, also pass (x_q - x) / (maximum - minimum) to the maximum, and its negative to the minimum.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> x = np.float32([-0.9, 0.4, 3.0])
      >>> functional.pams_ends(x, np.float32(-1), np.float32(2), bits=2).numpy().tolist()
      [-1.0, 0.0, 2.0]

    Args:
      x: float32, any shape.
      minimum, maximum: float32 scalars, minimum <= 0 < maximum.
      bits: 2 to 16.
      alpha_gradient: "eq3" or "rounding".

    Returns:
      float32 of x's shape.

    Raises:
      ValueError: bits or alpha_gradient is not possible.

    Source: two learned bounds as in DDTB (Zhong et al., ECCV 2022, arXiv 2203.03844, Eq. 4 to 7).
    """
    quantize = partial(
        pams_ends_codes,
        minimum=minimum,
        maximum=maximum,
        bits=bits,
        alpha_gradient=alpha_gradient,
    )
    return fake_quantized(quantize, x, min_max_grid(minimum, maximum, bits)[0])


def pams_ends_codes(
    tensors: Sequence[Tensor],
    arithmetic: Arithmetic,
    minimum: Tensor,
    maximum: Tensor,
    bits: int,
    *,
    alpha_gradient: str = "eq3",
    nonnegative: bool = False,
) -> Tensor:
    """The codes of `pams_ends`, with its gradients, of what an operator makes of other codes.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> from pams_tf.quantization.functional.codes import rounding
      >>> x, low, high = np.float32([-0.9, 0.4, 3.0]), np.float32(-1), np.float32(2)
      >>> functional.pams_ends_codes([x], rounding(np.float32(1)), low, high, 2).numpy().tolist()
      [-1.0, 0.0, 2.0]

    Args:
      tensors, arithmetic, nonnegative: see `pams_codes`.
      minimum, maximum, bits, alpha_gradient: see `pams_ends`.

    Returns:
      float32 whole numbers; times the scale, they are the values.

    Raises:
      ValueError: see `pams_ends`.

    Source: see `pams_ends`.
    """
    inside = float(_rounding_counts(alpha_gradient)) / unsigned_qmax(bits)
    _, qmin, qmax = min_max_grid(minimum, maximum, bits)
    low = tf.maximum(qmin, 0.0) if nonnegative else qmin
    # A value that a ReLU in front makes 0 is not clipped by the range.
    at_lower = 0.0 if nonnegative else 1.0
    to_ends = ToRange([at_lower, 0.0], [0.0, 1.0], [-inside, inside])
    ends = tf.stack([minimum, maximum])
    return clip_and_round(tensors, arithmetic, ends, (low, qmax), to_range=to_ends)


def _rounding_counts(alpha_gradient: str) -> bool:
    if alpha_gradient not in ALPHA_GRADIENTS:
        raise ValueError(
            f"alpha_gradient={alpha_gradient!r} is not possible; "
            f"choose one of {', '.join(map(repr, ALPHA_GRADIENTS))}"
        )
    return alpha_gradient == "rounding"


def pact(
    x: Tensor, alpha: Tensor, bits: int, *, unsigned: bool = False, full_range: bool = False
) -> Tensor:
    """Quantize to a learned clip: s * round(clip(x, -alpha, alpha) / s), [0, alpha] if unsigned.

    PACT (Choi et al. 2018, arXiv 1805.06085, Eq. 1 and 2) replaces the ReLU by y = clip(x, 0,
    alpha), rounded to 2**bits - 1 steps; that is `unsigned=True`, for tensors after a ReLU. PACT
    defines no other grid; for tensors with both signs, it is symmetric here, like that of `pams`.

    Gradients (their Eq. 3): to x, 1 inside the range and 0 at its ends and outside; to alpha, 1
    for x >= alpha and 0 elsewhere, including the negative end of a symmetric grid, which is where
    it differs from `pams`.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> x = np.float32([1.2, -5.0])
      >>> functional.pact(x, alpha=3.0, bits=2, unsigned=True).numpy().tolist()
      [1.0, 0.0]

    Args:
      x: float32, any shape.
      alpha: float32 scalar, positive.
      bits: 2 to 16.
      unsigned, full_range: see `grid.qrange`.

    Returns:
      float32 of x's shape.

    Raises:
      ValueError: bits is out of range, or unsigned and full_range are both set.

    Source: Choi et al. 2018, arXiv 1805.06085, Eq. 1 to 3.
    """
    return fake_quantized_to_alpha(
        pact_codes, x, alpha, bits, unsigned=unsigned, full_range=full_range
    )


def pact_codes(
    tensors: Sequence[Tensor],
    arithmetic: Arithmetic,
    alpha: Tensor,
    bits: int,
    *,
    unsigned: bool = False,
    full_range: bool = False,
    nonnegative: bool = False,
) -> Tensor:
    """The codes of `pact`, with its gradients, of what an operator makes of other codes.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> from pams_tf.quantization.functional.codes import rounding
      >>> x = np.float32([0.3, -2.0])
      >>> codes = functional.pact_codes([x], rounding(1 / 15), 1.0, bits=4, unsigned=True)
      >>> codes.numpy().tolist()
      [4.0, 0.0]

    Args:
      tensors, arithmetic, nonnegative: see `pams_codes`.
      alpha, bits, unsigned, full_range: see `pact`.

    Returns:
      float32 whole numbers; times alpha / qmax, they are the values.

    Raises:
      ValueError: see `pact`.

    Source: Choi et al. 2018, arXiv 1805.06085, Eq. 1 to 3.
    """
    qmin, qmax = qrange(bits, unsigned=unsigned, full_range=full_range)
    ends = code_ends(qmin, qmax, nonnegative)
    return clip_and_round(tensors, arithmetic, alpha, ends, to_range=ToRange(0.0, 1.0))
