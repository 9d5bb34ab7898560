"""Flat colours through a model: by how much each comes out as another."""

import itertools
from typing import Any

import numpy as np

from pams_tf.evaluation.upscaler import Upscaler

Colour = tuple[int, ...]
CUBE: tuple[Colour, ...] = tuple(itertools.product((0, 64, 128, 191, 255), repeat=3))
"""The colours of a 5x5x5 grid in the cube of RGB, its corners among them."""


def colour_shifts(upscaler: Upscaler) -> dict[Colour, int]:
    """By how much a model shifts flat colours: logos, skies and user interfaces show it.

    Example:
      >>> import pams_tf
      >>> from pams_tf.evaluation.colours import colour_shifts
      >>> max(colour_shifts(pams_tf.Upscaler("bicubic")).values())
      0

    Args:
      upscaler: the model; its halo is its receptive field.

    Returns:
      Each colour of `CUBE` -> the largest difference of a channel, in grey levels, between a flat
      image of it and the enlarged one, away from the border.
    """
    radius, scale = upscaler.halo, upscaler.scale
    inside = np.s_[radius * scale : (radius + 1) * scale, radius * scale : (radius + 1) * scale]
    shifts = {}
    for colour in CUBE:
        flat = np.full((2 * radius + 1, 2 * radius + 1, 3), colour, np.uint8)
        shifts[colour] = int(np.abs(upscaler(flat)[inside].astype(int) - colour).max())
    return shifts


def summary(upscaler: Upscaler, allowed: int) -> dict[str, Any]:
    """What a card says of the colours: how many of `CUBE` shift by more than `allowed`.

    Returns:
      "shifted" and "of", numbers of colours; "allowed" and "most", in grey levels.
    """
    shifts = list(colour_shifts(upscaler).values())
    return {
        "shifted": sum(shift > allowed for shift in shifts),
        "of": len(shifts),
        "allowed": allowed,
        "most": max(shifts),
    }
