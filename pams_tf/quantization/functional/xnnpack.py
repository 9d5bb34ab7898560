"""How XNNPACK's int8 kernels bring the result of an operator to the grid behind it.

Source: behaviour of ai-edge-litert 2.3 on x86 and Arm, found by comparison with files and held by
the tests; the formulas stand in each function. Codes have their zero point subtracted.
"""

import itertools
from collections.abc import Callable, Sequence

import tensorflow as tf

from pams_tf.quantization.functional import builtin
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


def addition(
    first: Tensor, second: Tensor, result: Tensor, dtype: tf.DType | None = None
) -> Arithmetic:
    """ADD of two tensors of codes: fixed point with at least 20 fractional bits.

    With the float32 ratios r = scale / result, shift = 20 - floor(log2(max r)) and the integers
    m = round(r * 2^shift), the sum is (m_a * a + m_b * b + 2^(shift-1)) >> shift, which rounds half
    up. It has up to 30 bits.

    Args:
      first, second, result: float32 scales.
      dtype: in which that is computed: int32, the default on a CPU, or float64, which a GPU
        prefers. Both are exact for the ratios that XNNPACK takes, 2^-10 to 2^8.
    """
    if dtype is None:
        dtype = tf.float64 if tf.config.list_physical_devices("GPU") else tf.int32
    # No code reaches half a step below 2^-10, and every one is clipped long before 2^19.
    ratios = tf.minimum(tf.stack([first / result, second / result]), 2.0**19)
    largest = tf.bitcast(tf.reduce_max(ratios), tf.int32)
    shift = tf.minimum(20 - (tf.bitwise.right_shift(largest, 23) - 127), 30)
    power = tf.cast(tf.bitcast(tf.bitwise.left_shift(shift + 127, 23), tf.float32), tf.float64)
    multipliers = tf.round(tf.cast(ratios, tf.float64) * power)
    m_first, m_second = tf.unstack(tf.cast(multipliers, dtype))
    half = tf.cast(power / 2, dtype)

    def compute(a: Tensor, b: Tensor) -> tuple[Steps, Backward]:
        total = tf.cast(a, dtype) * m_first + tf.cast(b, dtype) * m_second
        exact = tf.cast(total, tf.float32) / tf.cast(power, tf.float32)
        if dtype == tf.int32:
            whole = tf.bitwise.right_shift(total + half, shift)
        else:
            whole = tf.floor((total + half) / power)
        return Steps(exact, tf.cast(whole, tf.float32)), to_each(2)

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
    Where one of the two is no multiplier from 1/256 to 128, the builtin kernel takes its place.

    Args:
      slope: below 0.
      source, result: float32 scales.
    """
    ratio = source / result
    factors = tf.abs(tf.stack([ratio, ratio * slope]))
    taken = tf.reduce_all((factors >= 1 / 256) & (factors <= 128))
    otherwise = builtin.leaky_relu(slope, source, result)
    above = tf.round(256.0 * ratio) / 256.0
    below = tf.round(256.0 * (ratio * slope)) / 256.0

    def compute(codes: Tensor) -> tuple[Steps, Backward]:
        exact = codes * tf.where(codes < 0, below, above)
        other, backward = otherwise(codes)
        whole = tf.cond(taken, lambda: tf.floor(exact + 0.5), lambda: other.whole)
        return Steps(other.exact, whole), backward

    return compute


def table(
    function: Callable[[Tensor], Tensor], source: Tensor, result: Tensor, qmin: Tensor, qmax: Tensor
) -> Arithmetic:
    """TANH and LOGISTIC: the function of every code, rounded half to even, in a table.

    Args:
      function: elementwise, differentiable.
      source, result: float32 scales.
      qmin, qmax: the ends of the source's grid, numbers or scalar tensors.
    """
    # In float64, because TensorFlow's own float32 functions are several roundings off.
    lowest, highest = (tf.cast(end, tf.int32) for end in (qmin, qmax))
    codes_of_source = tf.cast(tf.range(lowest, highest + 1), tf.float32)
    values = tf.cast(codes_of_source * source, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(values)
        y = function(values)
    slopes = tf.cast(tape.gradient(y, values), tf.float32)
    exact = tf.cast(y, tf.float32) / result

    def compute(codes: Tensor) -> tuple[Steps, Backward]:
        index = tf.cast(codes, tf.int32) - lowest
        steps = tf.gather(exact, index)
        return (
            Steps(steps, tf.round(steps)),
            lambda upstream: [upstream * tf.gather(slopes, index)],
        )

    return compute


def mean(source: Tensor, result: Tensor, source_zero: Tensor, result_zero: Tensor) -> Arithmetic:
    """MEAN over height and width, N pixels: float32 after each operation.

    With m = source / result * (1 / N), the int8 codes, whose zero points are still in them, become
    sum(codes) * m + (result_zero - N * source_zero * m), rounded half to even.

    Args:
      source, result: float32 scales.
      source_zero, result_zero: float32 zero points.
    """

    def compute(codes: Tensor) -> tuple[Steps, Backward]:
        shape = tf.shape(codes)
        pixels = tf.cast(shape[1] * shape[2], tf.float32)
        multiplier = source / result * (1.0 / pixels)
        # Whole numbers beyond 2^24 are exact here, and rounded once like an int32.
        sums = tf.reduce_sum(tf.cast(codes, tf.float64), (1, 2), keepdims=True)
        zeros = pixels * source_zero
        stored = tf.cast(sums + tf.cast(zeros, tf.float64), tf.float32)
        exact = stored * multiplier + (result_zero - zeros * multiplier)
        return (
            Steps(exact - result_zero, tf.round(exact) - result_zero),
            lambda upstream: [tf.broadcast_to(upstream / pixels, shape)],
        )

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
