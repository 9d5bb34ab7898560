"""Bicubic resizing like MATLAB's imresize, with which every super-resolution benchmark is made."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from pams_tf.errors import InputError


def downscale(image: np.ndarray, scale: int) -> np.ndarray:
    """uint8 (H, W[, C]) -> (H/scale, W/scale[, C]), antialiased, rounded half away from zero.

    Raises:
      InputError: a side is not a multiple of the scale; see `crop_to_multiple`.
    """
    height, width = image.shape[:2]
    if height % scale or width % scale:
        raise InputError(
            f"an image of {height}x{width} cannot be downscaled evenly by {scale}; crop it first"
        )
    return _to_uint8(resize(image, height // scale, width // scale))


def upscale(image: np.ndarray, scale: int) -> np.ndarray:
    """uint8 (H, W[, C]) -> (H*scale, W*scale[, C]), rounded half away from zero."""
    return _to_uint8(resize(image, image.shape[0] * scale, image.shape[1] * scale))


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Crop (H, W[, C]) to sides that are multiples of the scale, keeping the top left."""
    height, width = image.shape[:2]
    return image[: height - height % scale, : width - width % scale]


def resize(image: Any, height: int, width: int) -> np.ndarray:
    """Resize (H, W[, C]) to (height, width[, C]), float64 and unrounded.

    Cubic convolution (Keys 1981, a = -0.5). When downscaling, the kernel is widened by the factor
    (antialiasing). Borders are mirrored, with the outermost pixel repeated. As in imresize, the
    axis that shrinks more is resized first.
    """
    result = np.asarray(image, np.float64)
    targets = {0: height, 1: width}
    for axis in sorted(targets, key=lambda axis: targets[axis] / result.shape[axis]):
        weights, taps = _taps(result.shape[axis], targets[axis])
        result = _resize_axis(result, axis, weights, taps)
    return result


def _resize_axis(image: np.ndarray, axis: int, weights: np.ndarray, taps: np.ndarray) -> np.ndarray:
    image = np.moveaxis(image, axis, 0)
    shape = (-1,) + (1,) * (image.ndim - 1)
    result = np.zeros((len(taps), *image.shape[1:]))
    # One tap at a time, so that no array is larger than the result.
    for k in range(taps.shape[1]):
        result += weights[:, k].reshape(shape) * image[taps[:, k]]
    return np.moveaxis(result, 0, axis)


@lru_cache(maxsize=64)
def _taps(size: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and source indices, each (target, taps)."""
    factor = target / size
    stretch = min(factor, 1.0)
    width = 4.0 / stretch
    centers = (np.arange(target) + 0.5) / factor - 0.5
    first = np.floor(centers - width / 2).astype(int) + 1
    indices = first[:, None] + np.arange(math.ceil(width) + 1)
    weights = _cubic((centers[:, None] - indices) * stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    # 0 1 2 ... n-1 n-1 ... 1 0, repeated
    mirror = np.concatenate([np.arange(size), np.arange(size)[::-1]])
    return weights, mirror[indices % (2 * size)]


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _to_uint8(image: np.ndarray) -> np.ndarray:
    # MATLAB rounds half away from zero, NumPy half to even; negative values are clipped anyway.
    return np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8)
