"""Weight quantizers: the range is that of the tensor itself, or learned."""

from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.grid import signed_qmax, unsigned_qmax
from pams_tf.quantization.functional.grids import OVER
from pams_tf.quantization.functional.stored import divided

Tensor = Any
CLIPS = np.linspace(1.0, 0.4, 31)
"""The parts of the largest weight that are tried as a clip."""


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
        scale = divided(tf.maximum(max_abs_range(w, axis), 1e-30), n)
        return tf.round(w / scale) * scale, lambda upstream: upstream

    return quantize(tf.convert_to_tensor(w))


def learned_clip(w: Tensor, clip: Tensor, bits: int) -> Tensor:
    """Quantize weights to the grid of a learned range: s * round(clip(w, -a, a) / s), s = a / n.

    With a the clip and n = 2**(bits-1) - 1.

    Gradients: to w, 1 in [-a, a] and 0 outside. To the clip, (w_q - w) / a inside and the sign of w
    outside, times 1 / sqrt(n * number of weights in the range), which keeps the steps of the clip
    in proportion to those of the weights.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> functional.learned_clip(np.float32([0.3, -2.0]), np.float32(1), bits=2).numpy().tolist()
      [0.0, -1.0]

    Args:
      w: float32, any shape; convolution kernels are HWIO.
      clip: float32, positive: a scalar, or of a shape that is broadcast over w, such as
        (1, 1, 1, O) for one range per output channel.
      bits: 2 to 16.

    Returns:
      float32 of w's shape.

    Raises:
      ValueError: bits is out of range.

    Source: the step of LSQ (Esser et al., "Learned Step Size Quantization", ICLR 2020, arXiv
    1902.08153, Eq. 1 to 3 and Section 2.2), here as a = n * s.
    """
    n = signed_qmax(bits)

    @tf.custom_gradient
    def quantize(w: Tensor, clip: Tensor) -> Any:
        scale = divided(clip, n)
        exact = w / scale
        codes = tf.clip_by_value(tf.round(exact), -n, n)

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            inside = tf.abs(w) <= clip * OVER  # a weight on the last code is inside
            to_clip = tf.where(inside, (codes - exact) / n, tf.sign(w)) * upstream
            shape = clip.shape.as_list()
            axes = [i for i in range(w.shape.rank) if not shape or shape[i] == 1]
            to_clip = tf.reduce_sum(to_clip, axes, keepdims=bool(shape))
            weights = np.prod([w.shape[i] for i in axes])
            to_w = tf.where(inside, upstream, tf.zeros_like(upstream))
            return to_w, to_clip / float(np.sqrt(n * weights))

        return codes * scale, gradient

    return quantize(tf.convert_to_tensor(w), tf.convert_to_tensor(clip))


def best_clip(
    w: np.ndarray, qmax: int, *, per_channel: bool, importance: np.ndarray | None = None
) -> np.ndarray:
    """The clip of `learned_clip` with the smallest squared error of the weights.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> weights = np.array([[1.0], [0.6], [-0.6], [0.6]])  # of one channel
      >>> functional.best_clip(weights, 1, per_channel=True).round(2).tolist()
      [0.7]

    Args:
      w: float, the output channels O last.
      qmax: the largest code.
      per_channel: one clip per output channel instead of one for all.
      importance: (K,), how much the squared error of each of the K weights of a channel counts; by
        default all of them count alike.

    Returns:
      float64 (O,), all equal unless per channel: the largest weight times one of `CLIPS`. Where
      all weights are 0, it is 1.

    Source: a grid search, as the released code of many methods has it.
    """
    w = np.asarray(w, np.float64).reshape(-1, w.shape[-1])
    importance = np.ones(len(w)) if importance is None else importance
    limits = np.abs(w).max(axis=0) if per_channel else np.abs(w).max()
    limits = np.broadcast_to(limits, w.shape[1:])
    limits = np.where(limits > 0, limits, 1.0)
    errors = []
    for clip in CLIPS:
        steps = clip * limits / qmax
        error = np.clip(np.rint(w / steps), -qmax, qmax) * steps - w
        errors.append(importance @ error**2)
    sums = np.stack(errors)
    if not per_channel:
        sums = np.broadcast_to(sums.sum(axis=1, keepdims=True), sums.shape)
    return CLIPS[sums.argmin(axis=0)] * limits


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

        return codes * divided(limit, n), gradient

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
