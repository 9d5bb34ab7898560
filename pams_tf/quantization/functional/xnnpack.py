"""How XNNPACK's int8 kernels bring the result of an operator to the grid behind it.

Source: behaviour of ai-edge-litert 2.3 on x86 and Arm, found by comparison with files and held by
the tests; the formulas stand in each function. Codes have their zero point subtracted.
"""

import itertools
from collections.abc import Callable, Sequence

import tensorflow as tf

from pams_tf.quantization.functional.codes import Arithmetic, Backward, Steps, Tensor, to_each


def requantization(multiplier: Tensor) -> Arithmetic:
    """Of a convolution's sums: float32(sum) * multiplier, rounded half to even.

    Args:
      multiplier: float32 scalar or one per channel, see `requantization_multiplier`.
    """

    def compute(sums: Tensor) -> tuple[Steps, Backward]:
        exact = sums * multiplier
        return Steps(exact, tf.round(exact)), to_each(1)

    return compute


def requantization_multiplier(image: Tensor, kernel: Tensor, result: Tensor) -> Tensor:
    """image * kernel / result of three scales, rounded to their type after each operation."""
    return image * kernel / result


def addition(first: Tensor, second: Tensor, result: Tensor) -> Arithmetic:
    """ADD of two tensors of codes: fixed point with at least 20 fractional bits.

    With the float32 ratios r = scale / result, shift = 20 - floor(log2(max r)) and the integers
    m = round(r * 2^shift), the sum is (m_a * a + m_b * b + 2^(shift-1)) >> shift, which rounds half
    up. It has up to 30 bits, so it is computed in float64.

    Args:
      first, second, result: float32 scales.
    """
    ratios = tf.stack([first / result, second / result])
    largest = tf.bitcast(tf.reduce_max(ratios), tf.int32)
    shift = 20 - (tf.bitwise.right_shift(largest, 23) - 127)
    power = tf.cast(tf.bitcast(tf.bitwise.left_shift(shift + 127, 23), tf.float32), tf.float64)
    # Divided by a power of two beforehand: still exact, and one operation less on the tensors.
    m_first, m_second = tf.unstack(tf.round(tf.cast(ratios, tf.float64) * power) / power)

    def compute(a: Tensor, b: Tensor) -> tuple[Steps, Backward]:
        total = tf.cast(a, tf.float64) * m_first + tf.cast(b, tf.float64) * m_second
        whole = tf.cast(tf.floor(total + 0.5), tf.float32)
        return Steps(tf.cast(total, tf.float32), whole), to_each(2)

    return compute


def conversion(source: Tensor, result: Tensor) -> Arithmetic:
    """QUANTIZE from one grid of codes to another: a multiplier with 8 fractional bits.

    With m = round(256 * source / result), the result is (m * code + 128) >> 8.

    Args:
      source, result: float32 scales.
    """
    multiplier = tf.round(256.0 * (source / result)) / 256.0

    def compute(codes: Tensor) -> tuple[Steps, Backward]:
        exact = codes * multiplier  # at most 8 + 15 bits
        return Steps(exact, tf.floor(exact + 0.5)), to_each(1)

    return compute


def product(
    first: Tensor,
    second: Tensor,
    result: Tensor,
    values: tuple[Tensor, Tensor] | None = None,
) -> Arithmetic:
    """MUL of two tensors of codes: their product is requantized like a convolution's sum.

    Args:
      first, second, result: float32 scales.
      values: the values of code 1 of both, for gradients; by default the scales.
    """
    multiplier = requantization_multiplier(first, second, result)
    value_a, value_b = values or (first, second)

    def compute(a: Tensor, b: Tensor) -> tuple[Steps, Backward]:
        exact = a * b * multiplier

        def backward(upstream: Tensor) -> Sequence[Tensor | None]:
            return [_summed(upstream * (b * value_b), a), _summed(upstream * (a * value_a), b)]

        return Steps(exact, tf.round(exact)), backward

    return compute


def _summed(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient to a tensor that was broadcast."""
    axes = [i for i in range(1, 4) if x.shape[i] == 1 and gradient.shape[i] != 1]
    return tf.reduce_sum(gradient, axes, keepdims=True) if axes else gradient


def leaky_relu(slope: float, source: Tensor, result: Tensor) -> Arithmetic:
    """LEAKY_RELU: two multipliers with 8 fractional bits, like QUANTIZE.

    Below 0 the ratio source / result is multiplied by the slope, in float32, before it is rounded.

    Args:
      slope: below 0.
      source, result: float32 scales.
    """
    ratio = source / result
    above = tf.round(256.0 * ratio) / 256.0
    below = tf.round(256.0 * (ratio * slope)) / 256.0

    def compute(codes: Tensor) -> tuple[Steps, Backward]:
        exact = codes * tf.where(codes < 0, below, above)
        return (
            Steps(exact, tf.floor(exact + 0.5)),
            lambda upstream: [tf.where(codes < 0, slope * upstream, upstream)],
        )

    return compute


def table(
    function: Callable[[Tensor], Tensor], source: Tensor, result: Tensor, qmin: int, qmax: int
) -> Arithmetic:
    """TANH and LOGISTIC: the function of every code, rounded half to even, in a table.

    Args:
      function: elementwise, differentiable.
      source, result: float32 scales.
      qmin, qmax: the ends of the source's grid.
    """
    # In float64, because TensorFlow's own float32 functions are several roundings off.
    values = tf.cast(tf.range(qmin, qmax + 1, dtype=tf.float32) * source, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(values)
        y = function(values)
    slopes = tf.cast(tape.gradient(y, values), tf.float32)
    exact = tf.cast(y, tf.float32) / result

    def compute(codes: Tensor) -> tuple[Steps, Backward]:
        index = tf.cast(codes, tf.int32) - qmin
        steps = tf.gather(exact, index)
        return (
            Steps(steps, tf.round(steps)),
            lambda upstream: [upstream * tf.gather(slopes, index)],
        )

    return compute


def bilinear(size: tuple[Tensor, Tensor]) -> Arithmetic:
    """RESIZE_BILINEAR with half-pixel centres, to a size, on the grid of its image.

    Weights have 11 fractional bits, first along the width and then along the height; the result is
    rounded half up.
    """

    def axis(length: Tensor, to: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ratio = tf.cast(length, tf.float32) / tf.cast(to, tf.float32)
        place = (tf.range(to, dtype=tf.float32) + 0.5) * ratio - 0.5
        place = tf.clip_by_value(place, 0.0, tf.cast(length - 1, tf.float32))
        low = tf.floor(place)
        weight = tf.round((place - low) * 2048.0) / 2048.0
        low = tf.cast(low, tf.int32)
        return low, tf.minimum(low + 1, length - 1), weight

    def resized(codes: Tensor) -> Tensor:
        shape = tf.shape(codes)
        for dimension in (2, 1):
            low, high, weight = axis(shape[dimension], size[dimension - 1])
            weight = tf.cast(weight, codes.dtype)
            weight = tf.reshape(weight, [-1, 1] if dimension == 2 else [-1, 1, 1])
            first, second = (tf.gather(codes, index, axis=dimension) for index in (low, high))
            codes = first + (second - first) * weight
        return codes

    def compute(codes: Tensor) -> tuple[Steps, Backward]:
        # 8 bits and twice 11: more than float32 holds.
        exact = resized(tf.cast(codes, tf.float64))
        whole = tf.cast(tf.floor(exact + 0.5), tf.float32)

        def backward(upstream: Tensor) -> Sequence[Tensor | None]:
            with tf.GradientTape() as tape:
                tape.watch(codes)
                y = resized(codes)
            return [tape.gradient(y, codes, upstream)]

        return Steps(tf.cast(exact, tf.float32), whole), backward

    return compute


def concatenation(
    parts: Sequence[Arithmetic], inputs: Sequence[int], channels: Sequence[int]
) -> Arithmetic:
    """CONCATENATION of parts that are each brought to the grid of the result.

    Args:
      parts: the arithmetic of each part.
      inputs: the number of tensors that each of them takes.
      channels: the number of channels of each part.
    """

    def compute(*tensors: Tensor) -> tuple[Steps, Backward]:
        waiting = iter(tensors)
        computed = [
            part(*itertools.islice(waiting, count))
            for part, count in zip(parts, inputs, strict=True)
        ]
        steps = Steps(*(tf.concat(x, -1) for x in zip(*(s for s, _ in computed), strict=True)))

        def split(upstream: Tensor) -> Sequence[Tensor | None]:
            pieces = tf.split(upstream, list(channels), axis=-1)
            to_parts = [back(piece) for (_, back), piece in zip(computed, pieces, strict=True)]
            return [gradient for gradients in to_parts for gradient in gradients]

        return steps, split

    return compute
