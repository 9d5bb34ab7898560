"""Flat colours through a model: by how much each comes out as another."""

import itertools
from collections.abc import Iterable

import numpy as np

from pams_tf.evaluation.upscaler import Upscaler
from pams_tf.litert.tiling import Upscale

Colour = tuple[int, int, int]
CUBE: tuple[Colour, ...] = tuple(itertools.product((0, 64, 128, 191, 255), repeat=3))
"""The colours of a 5x5x5 grid in the cube of RGB, its corners among them."""


def colour_shifts(upscaler: Upscaler) -> dict[Colour, int]:
    """By how much a model shifts flat colours: logos, skies and user interfaces show it.

    Example:
      >>> import pams_tf
      >>> from pams_tf.evaluation.colours import colour_shifts
      >>> max(colour_shifts(pams_tf.Upscaler("edsr_mobile_x2_8bit")).values()) <= 3
      True

    Args:
      upscaler: the model; its halo is its receptive field.

    Returns:
      Each colour of `CUBE` -> the largest difference of a channel, in grey levels, between a flat
      image of it and the enlarged one, away from the border.
    """
    return {
        colour: shift_of(upscaler, colour, scale=upscaler.scale, radius=upscaler.halo)
        for colour in CUBE
    }


def shift_of(upscale: Upscale, colour: Iterable[int], *, scale: int, radius: int) -> int:
    """The shift of one flat colour, see `colour_shifts`.

    Args:
      upscale: uint8 (h, w, 3) -> uint8 (h * scale, w * scale, 3).
      colour: R, G and B.
      scale: upscaling factor.
      radius: LR pixels at the border within which the result may depend on the border.
    """
    side = 2 * radius + 1
    flat = np.empty((side, side, 3), np.uint8)
    flat[:] = list(colour)
    inside = slice(radius * scale, (radius + 1) * scale)
    enlarged = upscale(flat)[inside, inside].astype(int)
    return int(np.abs(enlarged - flat[0, 0]).max())
