"""RGB and luma: what a network with one channel, Y, sees and makes.

Source: ITU-R BT.601 in studio range, like MATLAB's `rgb2ycbcr`, as in the papers whose networks
have one channel (SRCNN, ESPCN, FSRCNN).
"""

import numpy as np
import numpy.typing as npt

from pams_tf.errors import InputError

LUMA = np.array([65.481, 128.553, 24.966]) / 255.0
OFFSET = 16.0
_TO_YCBCR = np.array(
    [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]
)
_TO_RGB = 255.0 * np.linalg.inv(_TO_YCBCR)
_OFFSETS = np.array([16.0, 128.0, 128.0])


def luma(image: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """BT.601 luma of an RGB image, like MATLAB's `rgb2ycbcr`, unrounded.

    Args:
      image: (H, W, 3), or any leading shape; uint8 or float in [0, 255].

    Returns:
      float64 (H, W) in [16, 235].

    Raises:
      InputError: the last axis is not RGB.
    """
    image = np.asarray(image)
    if image.ndim < 1 or image.shape[-1] != 3:
        raise InputError(f"luma needs an RGB image (H, W, 3), got shape {image.shape}")
    return image.astype(np.float64) @ LUMA + OFFSET


def seen(images: np.ndarray, channels: int) -> np.ndarray:
    """LR images as a network with so many channels sees them.

    Args:
      images: (..., 3), uint8 or float in [0, 255].
      channels: 3, or 1 for whole numbers of luma.

    Returns:
      float32 (..., channels).
    """
    if channels == 3:
        return images.astype(np.float32)
    return np.rint(luma(images)).astype(np.float32)[..., None]


def wanted(images: np.ndarray, channels: int) -> np.ndarray:
    """HR images as a network with so many channels should make them; unrounded luma for 1.

    Args:
      images: (..., 3), uint8 or float in [0, 255].
      channels: 3 or 1.

    Returns:
      float32 (..., channels).
    """
    return (images if channels == 3 else luma(images)[..., None]).astype(np.float32)


def chroma(image: np.ndarray) -> np.ndarray:
    """Cb and Cr of an RGB image (H, W, 3): float64 (H, W, 2), unrounded, in [16, 240]."""
    return image.astype(np.float64) @ (_TO_YCBCR[1:] / 255.0).T + _OFFSETS[1:]


def rgb(y: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Luma (H, W) and chroma (H, W, 2) as uint8 RGB (H, W, 3), rounded and clipped."""
    ycbcr = np.concatenate([y[..., None].astype(np.float64), colours], axis=-1)
    values = (ycbcr - _OFFSETS) @ _TO_RGB.T
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
