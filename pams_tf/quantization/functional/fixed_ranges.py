"""Activation quantizers whose range is not a trained parameter: DoReFa and TensorFlow Lite."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pams_tf.grid import qrange, unsigned_qmax
from pams_tf.quantization.functional.codes import Arithmetic
from pams_tf.quantization.functional.grids import (
    clip_and_round,
    code_ends,
    fake_quantized_to_alpha,
)
from pams_tf.quantization.functional.stored import divided

Tensor = Any


def dorefa_activations(
    x: Tensor, alpha: Tensor, bits: int, *, unsigned: bool = False, full_range: bool = False
) -> Tensor:
    """Quantize to a fixed range: s * round(clip(x, -alpha, alpha) / s), [0, alpha] if unsigned.

    DoReFa (Zhou et al. 2016, arXiv 1606.06160, Eq. 5 and 11) applies quantize_k to activations that
    a bounded function has mapped to [0, 1]. Here the bound is alpha, because the networks compared
    in the paper's Table 2 start from the same ranges. After a ReLU the range is [0, alpha] with all
    2**bits - 1 steps; elsewhere it covers both signs, which DoReFa's own networks never need.

    Gradients: to x, straight through: 1 inside the range, 0 at its ends and outside; to alpha,
    none: it stays as calibrated.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> x = np.float32([1.2, -5.0])
      >>> functional.dorefa_activations(x, 3.0, bits=2).numpy().tolist()
      [0.0, -3.0]
      >>> functional.dorefa_activations(x, 3.0, bits=2, unsigned=True).numpy().tolist()
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

    Source: Zhou et al. 2016, arXiv 1606.06160, Eq. 5 and 11.
    """
    return fake_quantized_to_alpha(
        dorefa_activation_codes, x, alpha, bits, unsigned=unsigned, full_range=full_range
    )


def dorefa_activation_codes(
    tensors: Sequence[Tensor],
    arithmetic: Arithmetic,
    alpha: Tensor,
    bits: int,
    *,
    unsigned: bool = False,
    full_range: bool = False,
    nonnegative: bool = False,
) -> Tensor:
    """The codes of `dorefa_activations`, with its gradient, of what an operator makes of codes.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> from pams_tf.quantization.functional.codes import rounding
      >>> x = np.float32([0.3, -2.0])
      >>> functional.dorefa_activation_codes([x], rounding(1 / 7), 1.0, bits=4).numpy().tolist()
      [2.0, -7.0]

    Args:
      tensors, arithmetic, nonnegative: see `pams_codes`.
      alpha, bits, unsigned, full_range: see `dorefa_activations`.

    Returns:
      float32 whole numbers; times alpha / qmax, they are the values.

    Raises:
      ValueError: see `dorefa_activations`.

    Source: Zhou et al. 2016, arXiv 1606.06160, Eq. 5 and 11.
    """
    qmin, qmax = qrange(bits, unsigned=unsigned, full_range=full_range)
    ends = code_ends(qmin, qmax, nonnegative)
    return clip_and_round(tensors, arithmetic, alpha, ends, to_range=None)


def min_max(x: Tensor, minimum: Tensor, maximum: Tensor, bits: int) -> Tensor:
    """Quantize to the asymmetric grid between two values (Jacob et al. 2018, arXiv 1712.05877).

    Their Eq. 1 and 12: s = (maximum - minimum) / (2**bits - 1), x_q = s * round(x / s), clipped to
    2**bits codes, one of which is exactly zero: the range is widened to include 0, then nudged by
    less than a step so that 0 is on the grid. Computed by TensorFlow's own
    `tf.quantization.fake_quant_with_min_max_vars`, which its converter understands.

    Gradients: to x, 1 inside the nudged range, including its ends, and 0 outside; to the ends of
    the range, none: they follow the activations.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> functional.min_max(np.float32([-0.9, 0.4, 2.0]), -1.0, 2.0, bits=2).numpy().tolist()
      [-1.0, 0.0, 2.0]

    Args:
      x: float32, any shape.
      minimum, maximum: float32 scalars; if both are zero, so is the result.
      bits: 2 to 16.

    Returns:
      float32 of x's shape.

    Raises:
      ValueError: bits is out of range.

    Source: Jacob et al. 2018, arXiv 1712.05877, Eq. 1 and 12.
    """
    unsigned_qmax(bits)
    minimum, maximum = (tf.stop_gradient(tf.convert_to_tensor(end)) for end in (minimum, maximum))
    return tf.quantization.fake_quant_with_min_max_vars(
        x, tf.minimum(minimum, 0.0), tf.maximum(maximum, 0.0), num_bits=bits
    )


def min_max_grid(minimum: Tensor, maximum: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """The grid of `min_max`, whose values are scale * code.

    With the operations of TensorFlow's kernel, in float32, so that the grid is the same.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> grid = functional.min_max_grid(np.float32(-1.0), np.float32(2.0), bits=2)
      >>> [float(part) for part in grid]
      [1.0, -1.0, 2.0]

    Args:
      minimum, maximum: float32 scalars, not both zero.
      bits: 2 to 16.

    Returns:
      scale, qmin and qmax, float32 scalars.

    Raises:
      ValueError: bits is out of range.

    Source: Jacob et al. 2018, arXiv 1712.05877, Eq. 1 and 12, as TensorFlow computes them.
    """
    steps = float(unsigned_qmax(bits))
    low, high = tf.minimum(minimum, 0.0), tf.maximum(maximum, 0.0)
    scale = divided(high - low, steps)
    zero = tf.clip_by_value(tf.floor(-low / scale + 0.5), 0.0, steps)
    return scale, -zero, steps - zero


def min_max_codes(
    tensors: Sequence[Tensor],
    arithmetic: Arithmetic,
    minimum: Tensor,
    maximum: Tensor,
    bits: int,
    *,
    nonnegative: bool = False,
) -> Tensor:
    """The codes of `min_max`, with its gradient, of what an operator makes of codes.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> from pams_tf.quantization.functional.codes import rounding
      >>> x, ends = np.float32([-0.9, 0.4, 3.0]), (np.float32(-1.0), np.float32(2.0))
      >>> functional.min_max_codes([x], rounding(1.0), *ends, bits=2).numpy().tolist()
      [-1.0, 0.0, 2.0]

    Args:
      tensors, arithmetic, nonnegative: see `pams_codes`.
      minimum, maximum, bits: see `min_max_grid`.

    Returns:
      float32 whole numbers; times the scale of `min_max_grid`, they are the values.

    Raises:
      ValueError: bits is out of range.

    Source: Jacob et al. 2018, arXiv 1712.05877, Eq. 1 and 12.
    """
    _, qmin, qmax = min_max_grid(minimum, maximum, bits)
    low = tf.maximum(qmin, 0.0) if nonnegative else qmin
    return clip_and_round(tensors, arithmetic, 1.0, (low, qmax), to_range=None, inclusive=True)


def moving_average(previous: Tensor, observed: Tensor, decay: float) -> Tensor:
    """decay * previous + (1 - decay) * observed, which updates the range of `min_max` in training.

    Example:
      >>> from pams_tf.quantization import functional
      >>> functional.moving_average(10.0, 20.0, decay=0.5)
      15.0

    Args:
      previous: an end of the range so far, a scalar.
      observed: the smallest or largest value of the batch, a scalar.
      decay: 0 to 1; 0.999 in TensorFlow.

    Returns:
      The end of the range after this step, a scalar in the unit of the activations.

    Source: Jacob et al. 2018, arXiv 1712.05877, Section 3.1.
    """
    return decay * previous + (1.0 - decay) * observed
