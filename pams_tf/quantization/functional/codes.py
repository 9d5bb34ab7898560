"""Codes in the place of values, so that a student computes with the integers of a file.

A code is a whole number held in float32, with the zero point subtracted: value = scale * code. A
convolution of codes yields *sums*, whole numbers too, whose unit is the product of the scales of
image and kernel. Every function here is exact: it yields the integers that an int8 kernel yields.

**Gradients** are those of values. A tensor of codes or sums stands for the values that it means,
and its gradient is the gradient to these values, straight through every rounding. So no scale
enters a gradient, and none of these functions changes what a network without them would learn.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

Tensor = Any

EXACT = 2.0**24
"""Whole numbers below this are exact in float32, and so is every sum of them, in any order."""


class Steps(NamedTuple):
    """A tensor in steps of a grid: `exact` before rounding, `whole` after it and before any clip.

    Both are float32; `exact` is only as exact as float32 and serves gradients.
    """

    exact: Tensor
    whole: Tensor


Backward = Callable[[Tensor], Sequence[Tensor | None]]
"""Gradient to the values of a result -> the gradients to the values of each input."""

Arithmetic = Callable[..., tuple[Steps, Backward]]
"""The tensors that an operator reads -> steps of the grid behind it, and the gradient."""


def rounding(scale: Tensor) -> Arithmetic:
    """Of float values: x / scale, rounded half to even (paper, Eq. 1)."""

    def compute(x: Tensor) -> tuple[Steps, Backward]:
        exact = x / scale
        return Steps(exact, tf.round(exact)), to_each(1)

    return compute


def rectified(part: Arithmetic) -> Arithmetic:
    """An arithmetic with a ReLU behind it."""

    def compute(*tensors: Tensor) -> tuple[Steps, Backward]:
        (exact, whole), backward = part(*tensors)

        def masked(upstream: Tensor) -> Sequence[Tensor | None]:
            return backward(passing(upstream, exact > 0))

        return Steps(tf.nn.relu(exact), tf.nn.relu(whole)), masked

    return compute


def of_one(part: Arithmetic, index: int) -> Arithmetic:
    """An arithmetic of one among several tensors; the others get no gradient."""

    def compute(*tensors: Tensor) -> tuple[Steps, Backward]:
        steps, backward = part(tensors[index])

        def alone(upstream: Tensor) -> Sequence[Tensor | None]:
            gradients: list[Tensor | None] = [None] * len(tensors)
            (gradients[index],) = backward(upstream)
            return gradients

        return steps, alone

    return compute


def passing(upstream: Tensor, mask: Tensor) -> Tensor:
    """The gradient where the mask is true, and 0 elsewhere.

    On a CPU, `tf.where` takes ten times as long as this product.
    """
    return upstream * tf.cast(mask, upstream.dtype)


def to_each(inputs: int) -> Backward:
    """The gradient of a sum: it reaches every input as it is."""
    return lambda upstream: [upstream] * inputs


def bias_codes(bias: Tensor, unit: Tensor) -> Tensor:
    """A bias in whole units of the sum it is added to, rounded half to even; all float64."""
    return tf.round(bias / unit)


def sums_of_products(
    linear: Callable[[Tensor, Tensor], Tensor],
    codes: Tensor,
    kernel: Tensor,
    step: Tensor,
    bias: Tensor,
    unit: Tensor,
    scale: Tensor,
    *,
    largest: float | Callable[[Tensor], Tensor],
    dtype: str = "float32",
) -> Tensor:
    """Sums of a linear operator on codes, plus the bias in whole units of the sum, both exact.

    Args:
      linear: (image, kernel) -> result; a convolution of any kind.
      codes: (N, H, W, C) float32.
      kernel: float32 values, whole multiples of `step`.
      step: float32, positive, broadcast over the kernel.
      bias: (O,) float64 values; rounded half to even.
      unit: float64, positive, the value of 1 in the sum: a scalar or (O,).
      scale: float32, the value of code 1, for the gradient to the kernel.
      largest: a bound of |sum|, or how to find it from the codes of the kernel. Where it reaches
        2^24, products are summed in float64, and only the result is rounded to float32, which is
        what XNNPACK does with its int32 sums.
      dtype: in which gradients are computed.

    Returns:
      float32; whole numbers, rounded only where they pass 2^24.
    """
    kernel_codes = tf.round(kernel / step)
    offsets = bias_codes(bias, unit)
    # A bias beyond 2^24 in two parts, so that the sum is rounded once, as XNNPACK rounds its int32.
    large = tf.cast(offsets, tf.float32)
    small = tf.cast(offsets - tf.cast(large, tf.float64), tf.float32)

    def single(codes: Tensor) -> Tensor:
        sums = linear(codes, kernel_codes)
        if tf.config.list_physical_devices("GPU"):
            sums = tf.round(sums)  # by Winograd or FFT they come out a fraction off
        return sums + small + large

    def double(codes: Tensor) -> Tensor:
        total = linear(tf.cast(codes, tf.float64), tf.cast(kernel_codes, tf.float64))
        return tf.cast(total + offsets, tf.float32)

    def forward(codes: Tensor) -> Tensor:
        if not callable(largest):
            return (single if largest < EXACT else double)(codes)
        fits = largest(kernel_codes) < EXACT
        return tf.cond(fits, lambda: single(codes), lambda: double(codes))

    @tf.custom_gradient
    def compute(codes: Tensor, kernel: Tensor, bias: Tensor) -> Any:
        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            ours = [tf.cast(x, dtype) for x in (codes, kernel)]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(ours)
                y = linear(*ours)  # not computed in a graph: its gradients do not need it
            to_codes, to_kernel = tape.gradient(y, ours, tf.cast(upstream, dtype))
            to_bias = tf.reduce_sum(upstream, axis=range(upstream.shape.rank - 1))
            return (
                tf.cast(to_codes, tf.float32),
                tf.cast(to_kernel, tf.float32) * scale,
                tf.cast(to_bias, bias.dtype),
            )

        return forward(codes), gradient

    return compute(codes, kernel, bias)


def as_values(*tensors: Tensor, values: Callable[..., Tensor]) -> Tensor:
    """values(*tensors), float32; the gradient of values reaches each tensor as it is.

    Args:
      tensors: codes or sums.
      values: what they mean.
    """

    @tf.custom_gradient
    def compute(*tensors: Tensor) -> Any:
        return values(*tensors), to_each(len(tensors))

    return compute(*tensors)
