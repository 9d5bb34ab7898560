"""Quantizers as pure functions on tensors, each with its own gradient."""

from typing import Any

import tensorflow as tf

from pams_tf.recipe import ALPHA_GRADIENTS

Tensor = Any


def levels(bits: int) -> int:
    """The largest code of a symmetric signed grid: 2**(bits-1) - 1, e.g. 127 for 8 bits.

    Raises:
      ValueError: `bits` is not a whole number from 2 to 16.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 16:
        raise ValueError(f"bits={bits!r} is not possible; choose a whole number from 2 to 16")
    return 2 ** (bits - 1) - 1


def pams(
    x: Tensor, alpha: Tensor, bits: int, alpha_gradient: str = "eq3", full_range: bool = False
) -> Tensor:
    """Quantize to the grid of a learned maximum: s * round(clip(x, -alpha, alpha) / s).

    Paper, Eq. 1 and 2, with s = alpha / (2**(bits-1) - 1); rounding is half to even. Example:
    `pams([0.3, -2.0], alpha=1.0, bits=2)` is `[0.0, -1.0]`.

    Gradients (paper, Eq. 3): to x, 1 inside (-alpha, alpha) and 0 outside; to alpha, -1 for
    x <= -alpha, +1 for x >= alpha. Inside, alpha receives 0 with `alpha_gradient="eq3"` and
    (x_q - x) / alpha with `"rounding"`, as in the released code.

    Args:
      x: float32, any shape.
      alpha: float32 scalar, positive.
      bits: 2 to 16.
      full_range: use the lowest code of a signed integer too, -2**(bits-1), as an int8 tensor does
        that nothing clips: the lower bound is then -(alpha + s), and so is its gradient.

    Returns:
      float32 of x's shape, in [-alpha, alpha], or in [-(alpha + s), alpha].

    Raises:
      ValueError: bits or alpha_gradient out of range.
    """
    n = levels(bits)
    if alpha_gradient not in ALPHA_GRADIENTS:
        raise ValueError(
            f"alpha_gradient={alpha_gradient!r} is not possible; "
            f"choose one of {', '.join(map(repr, ALPHA_GRADIENTS))}"
        )

    lowest = (n + 1) / n if full_range else 1.0

    @tf.custom_gradient
    def quantize(x: Tensor, alpha: Tensor) -> Any:
        scale = alpha / n
        y = tf.round(tf.clip_by_value(x, -lowest * alpha, alpha) / scale) * scale

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            above, below = x >= alpha, x <= -lowest * alpha
            dx = tf.where(above | below, tf.zeros_like(upstream), upstream)
            # What dx lost is what was clipped; its sign says at which end.
            dalpha = tf.reduce_sum((upstream - dx) * tf.sign(x))
            if full_range:
                dalpha -= (lowest - 1.0) * tf.reduce_sum(tf.where(below, upstream, 0.0))
            if alpha_gradient == "rounding":
                dalpha += tf.reduce_sum(dx * (y - x)) / alpha
            return dx, tf.reshape(dalpha, tf.shape(alpha))

        return y, gradient

    return quantize(tf.convert_to_tensor(x), tf.convert_to_tensor(alpha))


def max_abs(w: Tensor, bits: int, axis: int | None = None) -> Tensor:
    """Quantize weights to the grid of their own maximum: s * round(w / s), s = max|w| / n.

    Paper, Eq. 1 with a = max|w| and n = 2**(bits-1) - 1. The gradient passes straight through.

    Args:
      w: float32, any shape; convolution kernels are HWIO.
      bits: 2 to 16.
      axis: None for one range a tensor; an axis (-1 for the output channels) for one range a
        slice along it.

    Returns:
      float32 of w's shape. A range that is all zeros stays zero.

    Raises:
      ValueError: bits out of range.
    """
    n = levels(bits)

    @tf.custom_gradient
    def quantize(w: Tensor) -> Any:
        scale = tf.maximum(max_abs_range(w, axis), 1e-30) / n
        return tf.round(w / scale) * scale, lambda upstream: upstream

    return quantize(tf.convert_to_tensor(w))


def max_abs_range(w: Tensor, axis: int | None = None) -> Tensor:
    """max|w| over all of `w`, or a slice along `axis` (kept as broadcastable dimensions)."""
    if axis is None:
        return tf.reduce_max(tf.abs(w))
    rank = len(w.shape)
    others = [i for i in range(rank) if i != axis % rank]
    return tf.reduce_max(tf.abs(w), axis=others, keepdims=True)


def sample_maxima(x: Tensor) -> Tensor:
    """max|x| of each sample: what calibration observes.

    Args:
      x: float, first axis the samples; NHWC activations.

    Returns:
      (N,), of x's type.
    """
    return tf.reduce_max(tf.abs(x), axis=list(range(1, len(x.shape))))


def running_maximum(previous: Tensor, observed: Tensor, count: Tensor, beta: float) -> Tensor:
    """Paper, Eq. 4: beta * previous + (1 - beta) * observed, with beta = 0 at the first step.

    Args:
      previous: alpha so far, scalar.
      observed: this step's mean of `sample_maxima`, scalar.
      count: steps already averaged; 0 takes `observed` as it is.
      beta: 0.9997 in the paper.
    """
    beta = tf.where(tf.equal(count, 0), 0.0, beta)
    return beta * previous + (1.0 - beta) * observed
