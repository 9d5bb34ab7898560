"""The hidden colour of transparent pixels."""

import numpy as np


def fill_hidden(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Give pixels that nobody sees the colour of the visible ones around them.

    Whatever colour a program has left there, often black, would otherwise come out as a rim around
    what is visible, because an enlarged pixel mixes its neighbours.

    Args:
      rgb: uint8 (H, W, 3).
      alpha: uint8 (H, W); a pixel is hidden where it is 0.

    Returns:
      uint8 (H, W, 3): `rgb` where alpha is above 0, elsewhere an average of visible pixels, the
      nearer the more. Unchanged if every pixel is hidden or none.

    Source: the pull-push algorithm of Gortler et al., "The Lumigraph", SIGGRAPH 1996, Section 3.4.
    """
    visible = alpha > 0
    if visible.all() or not visible.any():
        return rgb
    colour, weight = rgb.astype(np.float32), visible.astype(np.float32)[..., None]
    levels = []
    while colour.shape[0] > 1 or colour.shape[1] > 1:
        levels.append((colour, weight))
        colour, weight = _half(colour * weight), _half(weight)
        colour /= np.maximum(weight, np.finfo(np.float32).tiny)
        weight = np.minimum(weight, 1)
    for finer, weight in reversed(levels):
        coarse = colour.repeat(2, axis=0).repeat(2, axis=1)[: finer.shape[0], : finer.shape[1]]
        colour = weight * finer + (1 - weight) * coarse
    return np.where(visible[..., None], rgb, np.rint(colour).astype(np.uint8))


def _half(image: np.ndarray) -> np.ndarray:
    """Sums over 2x2 pixels; zeros beyond the border."""
    padded = np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)))
    return padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]
