"""Drawn pictures: what screens show and photographs lack.

A network that has seen photographs alone has ranges for photographs alone: a flat patch of pure
green then leaves them, and comes out as another green.
"""

import dataclasses
import itertools
import math
import string
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pams_tf.data.resize import downscale
from pams_tf.errors import InputError

Colour = tuple[int, ...]
CHART_LEVELS = (0, 128, 255)
"""Of each channel in the chart: the corners of the cube of colours, and the colours half way."""
CHART_SIDE = 32
"""Side of a patch of the chart in LR pixels: most of it is out of its neighbours' reach."""
POOL = 60
_OVERSAMPLING = 2  # what is drawn is averaged over 2x2 pixels, which smooths its edges
_MARGIN = 16  # LR pixels by which a drawn picture is larger than the crops taken from it


def colour_chart() -> np.ndarray:
    """Flat patches of every colour whose channels are in `CHART_LEVELS`.

    Returns:
      uint8 RGB (n, n, 3): an LR image; enlarged without error it has the same patches.
    """
    colours = list(itertools.product(CHART_LEVELS, repeat=3))
    across = math.ceil(math.sqrt(len(colours)))
    colours += colours[: across * math.ceil(len(colours) / across) - len(colours)]
    cells = np.array(colours, np.uint8).reshape(-1, across, 3)
    return cells.repeat(CHART_SIDE, axis=0).repeat(CHART_SIDE, axis=1)


def draw(rng: np.random.Generator, side: int, kind: str) -> np.ndarray:
    """One drawn picture.

    Args:
      rng: the same state gives the same picture, with the same version of Pillow.
      side: height and width in pixels.
      kind: a name in `KINDS`.

    Returns:
      uint8 RGB (side, side, 3).
    """
    size = side * _OVERSAMPLING
    picture = Image.new("RGB", (size, size), _colour(rng))
    KINDS[kind](rng, picture)
    return np.asarray(picture.reduce(_OVERSAMPLING))


@dataclasses.dataclass(frozen=True)
class Graphics:
    """Drawn LR and HR pictures that take the place of a share of the training crops.

    Attributes:
      share: of the crops, from 0 up to 1.
      scale: HR size divided by LR size.
      patch_size: side of the largest LR crop.
    """

    share: float
    scale: int
    patch_size: int

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(f"graphics={self.share!r} is not possible; give a share from 0 to 1")

    def crop(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """A random crop, its channels permuted and some of them inverted.

        Returns:
          LR (size, size, 3) and HR (size * scale, size * scale, 3), uint8.
        """
        lr, hr = _pool(self.scale, self.patch_size)[int(rng.integers(POOL))]
        top, left = (int(rng.integers(length - size + 1)) for length in lr.shape[:2])
        channels, inverted = rng.permutation(3), rng.integers(2, size=3) * np.uint8(255)
        part = lr[top : top + size, left : left + size]
        top, left, side = (length * self.scale for length in (top, left, size))
        whole = hr[top : top + side, left : left + side]
        return part[..., channels] ^ inverted, whole[..., channels] ^ inverted


@lru_cache(maxsize=4)
def _pool(scale: int, patch_size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """LR and HR of `POOL` drawn pictures, as many of each kind."""
    pairs = []
    for index, kind in zip(range(POOL), itertools.cycle(KINDS)):
        rng = np.random.default_rng([scale, patch_size, index])
        hr = draw(rng, (patch_size + _MARGIN) * scale, kind)
        pairs.append((downscale(hr, scale), hr))
    return pairs


def _colour(rng: np.random.Generator) -> Colour:
    """Any colour; each channel is 0 or 255 half of the time."""
    ends, inside = rng.integers(2, size=3) * 255, rng.integers(256, size=3)
    return tuple(map(int, np.where(rng.random(3) < 0.5, ends, inside)))


def _flat(rng: np.random.Generator, picture: Image.Image) -> None:
    """The background alone."""


def _panels(rng: np.random.Generator, picture: Image.Image) -> None:
    """Rectangles over one another, as in the windows of a user interface."""
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(2, 9))):
        pen.rounded_rectangle(
            _box(rng, picture.width),
            radius=int(rng.integers(0, 12)),
            fill=_colour(rng),
            outline=_colour(rng) if rng.random() < 0.5 else None,
            width=_width(rng),
        )


def _gradient(rng: np.random.Generator, picture: Image.Image) -> None:
    """From one colour to another in any direction, as in skies and backgrounds."""
    angle = rng.uniform(0, 2 * math.pi)
    x, y = np.meshgrid(*(np.linspace(-1, 1, picture.width),) * 2)
    along = x * math.cos(angle) + y * math.sin(angle)
    along = (along - along.min()) / (along.max() - along.min())
    first, last = np.array(_colour(rng)), np.array(_colour(rng))
    values = first + along[..., None] * (last - first)
    picture.paste(Image.fromarray(np.rint(values).astype(np.uint8)))


def _text(rng: np.random.Generator, picture: Image.Image) -> None:
    """Lines of letters and digits in several sizes."""
    pen, top = ImageDraw.Draw(picture), 0
    letters = list(string.ascii_letters + string.digits + " ,.:-")
    while top < picture.height:
        size = int(rng.integers(8, 29)) * _OVERSAMPLING
        line = "".join(rng.choice(letters, picture.width // size * 3))
        font = ImageFont.load_default(size)
        pen.text((-int(rng.integers(size)), top), line, fill=_colour(rng), font=font)
        top += size


def _line_art(rng: np.random.Generator, picture: Image.Image) -> None:
    """Lines, arcs, ellipses and polygons, as in icons, plans and comics."""
    pen, side = ImageDraw.Draw(picture), picture.width
    for _ in range(int(rng.integers(4, 16))):
        shape, colour, width = int(rng.integers(4)), _colour(rng), _width(rng)
        points = [tuple(map(int, point)) for point in rng.integers(side, size=(3, 2))]
        if shape == 0:
            pen.line(points, fill=colour, width=width, joint="curve")
        elif shape == 1:
            pen.polygon(points, fill=colour)
        elif shape == 2:
            pen.ellipse(_box(rng, side), outline=colour, width=width)
        else:
            pen.arc(_box(rng, side), 0, int(rng.integers(30, 330)), fill=colour, width=width)


def _box(rng: np.random.Generator, side: int) -> tuple[int, int, int, int]:
    left, top = (int(value) for value in rng.integers(side * 3 // 4, size=2))
    width, height = (int(value) for value in rng.integers(side // 8, side // 2, size=2))
    return left, top, left + width, top + height


def _width(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 5)) * _OVERSAMPLING


KINDS: dict[str, Callable[[np.random.Generator, Image.Image], None]] = {
    "flat": _flat,
    "panels": _panels,
    "gradient": _gradient,
    "text": _text,
    "line_art": _line_art,
}
