"""Activation quantizers with one trained range: PAMS and PACT."""

from collections.abc import Sequence
from typing import Any

from pams_tf.grid import qrange
from pams_tf.quantization.functional.codes import Arithmetic
from pams_tf.quantization.functional.grids import (
    clip_and_round,
    code_ends,
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
    if alpha_gradient not in ALPHA_GRADIENTS:
        raise ValueError(
            f"alpha_gradient={alpha_gradient!r} is not possible; "
            f"choose one of {', '.join(map(repr, ALPHA_GRADIENTS))}"
        )
    qmin, qmax = qrange(bits, unsigned=unsigned, full_range=full_range)
    ends = code_ends(qmin, qmax, nonnegative)
    return clip_and_round(
        tensors,
        arithmetic,
        alpha,
        ends,
        qmax=qmax,
        to_alpha=(ends[0] / qmax, 1.0),  # the lower bound in units of alpha
        inside_to_alpha=alpha_gradient == "rounding",
    )


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
    return clip_and_round(tensors, arithmetic, alpha, ends, qmax=qmax, to_alpha=(0.0, 1.0))
