"""Weight quantizers: the range is that of the tensor itself."""

from typing import Any

import tensorflow as tf

from pams_tf.grid import signed_qmax, unsigned_qmax

Tensor = Any


def max_abs(w: Tensor, bits: int, *, axis: int | None = None) -> Tensor:
    """Quantize weights to the grid of their own maximum: s * round(w / s), s = max|w| / n.

    The paper's Eq. 1 with a = max|w| and n = 2**(bits-1) - 1. The gradient passes straight through.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> functional.max_abs(np.float32([0.4, -1.0]), bits=2).numpy().tolist()
      [0.0, -1.0]

    Args:
      w: float32, any shape; convolution kernels are HWIO.
      bits: 2 to 16.
      axis: None for one range per tensor; an axis (-1 for the output channels) for one range per
        slice along it.

    Returns:
      float32 of w's shape. A tensor or slice that is all zeros stays zero.

    Raises:
      ValueError: bits is out of range.

    Source: Li et al., ECCV 2020, Eq. 1.
    """
    n = signed_qmax(bits)

    @tf.custom_gradient
    def quantize(w: Tensor) -> Any:
        scale = tf.maximum(max_abs_range(w, axis), 1e-30) / n
        return tf.round(w / scale) * scale, lambda upstream: upstream

    return quantize(tf.convert_to_tensor(w))


def dorefa_weights(w: Tensor, bits: int, *, axis: int | None = None) -> Tensor:
    """DoReFa's weights (Zhou et al. 2016, arXiv 1606.06160, Eq. 9), in the range of the tensor.

    With N = 2**bits - 1, v = tanh(w) / (2 max|tanh w|) + 1/2 in [0, 1] is rounded to k / N, half to
    even, and the result is E * (2 k / N - 1). The grid has 2**bits codes, the odd numbers from -N
    to N in units of E / N; zero is not one of them.

    Here E = max|w|, while the DoReFa paper has E = 1. With 1, a network without batch
    normalization, like these, would lose its scale: its weights are hundredths, and no later layer
    would divide the result again.

    Gradient: straight through the rounding, then through the tanh: E / max|tanh w| * (1 - tanh(w)
    squared). Both maxima are treated as constants, like that of `max_abs`, so every weight is
    trained, including the largest.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> functional.dorefa_weights(np.float32([0.5, -3.0]), bits=2).numpy().tolist()
      [1.0, -3.0]

    Args:
      w: float32, any shape; convolution kernels are HWIO.
      bits: 2 to 16.
      axis: as in `max_abs`; both maxima are then per slice.

    Returns:
      float32 of w's shape. A tensor or slice that is all zeros stays zero; its gradient passes
      through.

    Raises:
      ValueError: bits is out of range.

    Source: Zhou et al. 2016, arXiv 1606.06160, Eq. 9.
    """
    n = unsigned_qmax(bits)

    @tf.custom_gradient
    def quantize(w: Tensor) -> Any:
        bent = tf.tanh(w)
        limit, bent_limit = max_abs_range(w, axis), max_abs_range(bent, axis)
        v = bent / (2.0 * tf.maximum(bent_limit, 1e-30)) + 0.5
        codes = 2.0 * tf.round(v * n) - n

        def gradient(upstream: Tensor) -> Tensor:
            # tanh(w) is about w near 0, so the factor of an all-zero range is 1.
            gain = tf.where(bent_limit > 0, limit / tf.maximum(bent_limit, 1e-30), 1.0)
            return upstream * gain * (1.0 - tf.square(bent))

        return codes * (limit / n), gradient

    return quantize(tf.convert_to_tensor(w))


def max_abs_range(w: Tensor, axis: int | None = None) -> Tensor:
    """The largest magnitude of a tensor, or of each slice of it.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> w = np.float32([[0.5, -2.0], [-1.0, 1.5]])
      >>> functional.max_abs_range(w).numpy().item()
      2.0
      >>> functional.max_abs_range(w, axis=-1).numpy().tolist()
      [[1.0, 2.0]]

    Args:
      w: float32, any shape; convolution kernels are HWIO.
      axis: as in `max_abs`.

    Returns:
      max|w|: a scalar, or with `axis` of w's rank, with length 1 along all other axes.

    Source: Li et al., ECCV 2020, Eq. 1; one range per slice is not in the paper.
    """
    if axis is None:
        return tf.reduce_max(tf.abs(w))
    rank = len(w.shape)
    others = [i for i in range(rank) if i != axis % rank]
    return tf.reduce_max(tf.abs(w), axis=others, keepdims=True)
