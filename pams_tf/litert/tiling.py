"""Upscaling of images of any size in overlapping tiles of a fixed size, without seams."""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from pams_tf.errors import InputError

Upscale = Callable[[np.ndarray], np.ndarray]
"""uint8 RGB (h, w, 3) -> uint8 RGB (h * scale, w * scale, 3)."""
Progress = Callable[[int, int], None]
"""Called after each tile with the number of finished tiles and the total number of tiles."""

INNER = 256
"""Side of the area that a tile contributes, in LR pixels, if the model fixes no tile size."""
LEAST_INNER = 8
"""Minimum side of the area that a tile contributes, in LR pixels: it bounds the number of tiles."""


class TiledUpscaler:
    """Upscales images of any size with a function that upscales tiles of limited size.

    Neighbouring tiles overlap by at least twice the halo, and only the part of a tile that is at
    least one halo away from its cuts is kept. With a halo of the network's receptive field the
    result is exactly that of the whole image in one piece: pixels outside a tile are too far away
    to matter, and at the border of the image the tile ends with the image, so zero padding is where
    it is for the whole image. With a smaller halo, pixels near the cuts are computed as if by a
    network with a smaller receptive field.

    An axis on which the image is shorter than the halo is mirrored first, so far as a tile has room
    for it: every pixel would otherwise be computed from zeros beyond the border for the most part.

    Tiles are computed one at a time, so only one tile and the result are in memory.

    Args:
      upscale: upscales a tile, uint8 (h, w, 3) -> (h*scale, w*scale, 3), with h and w at most those
        of `tile`.
      name: the upscaler's name in messages.
      scale: upscaling factor.
      tile: height and width of a tile in LR pixels; None upscales every image in one piece.
      halo: LR pixels on each side of the part of a tile that is kept.

    Raises:
      InputError: the halo is not a non-negative integer.
    """

    def __init__(
        self,
        upscale: Upscale,
        *,
        name: str,
        scale: int,
        tile: tuple[int, int] | None,
        halo: int,
    ) -> None:
        if type(halo) is not int or halo < 0:
            raise InputError(f"halo={halo!r} is not possible; give a whole number from 0 up")
        self.name = name
        self.scale = scale
        self.tile = tile
        self.halo = halo
        self._upscale = upscale

    def __call__(self, image: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """uint8 (h, w, C) -> uint8 (h * scale, w * scale, C), with C 3 for RGB or 1 for Y.

        Raises:
          InputError: the image has another type or shape, or it needs tiles and too little of a
            tile is left within the halo.
        """
        shaped = image.ndim == 3 and image.shape[2] in (1, 3)
        if image.dtype != np.uint8 or not shaped or not image.size:
            raise InputError(f"cannot enlarge {image.dtype} {image.shape}; give uint8 (h, w, 3)")
        if self._fits(*image.shape[:2]):
            result = self._upscale(image)
            if progress:
                progress(1, 1)
            return result
        assert self.tile is not None
        margins = [
            max(0, min(2 * self.halo, side - length)) if length < self.halo else 0
            for length, side in zip(image.shape, self.tile, strict=False)
        ]
        if any(margins):
            # With the outermost pixel repeated, as bicubic interpolation has it.
            before = [margin // 2 for margin in margins]
            around = [(a, margin - a) for a, margin in zip(before, margins, strict=True)]
            inner = [
                slice(a * self.scale, (a + length) * self.scale)
                for a, length in zip(before, image.shape, strict=False)
            ]
            return self(np.pad(image, (*around, (0, 0)), "symmetric"), progress)[tuple(inner)]
        least = 2 * self.halo + LEAST_INNER
        for length, side in zip(image.shape, self.tile, strict=False):
            if length > side < least:
                largest = (side - LEAST_INNER) // 2
                smaller = f", or give a halo of at most {largest}, which shows at the cuts"
                raise InputError(
                    f"{self.name} takes {self.tile[0]}x{self.tile[1]}, too small for tiles of an "
                    f"image of {image.shape[0]}x{image.shape[1]}: a halo of {self.halo} pixels "
                    f"needs {least}; export it with --input_size {least}x{least} or more"
                    f"{smaller if largest >= 0 else ''}"
                )
        return in_tiles(self._upscale, image, self.scale, self.tile, self.halo, progress)

    def _fits(self, height: int, width: int) -> bool:
        """Whether an image of this size is upscaled in one piece."""
        return self.tile is None


def open_tile(halo: int) -> tuple[int, int]:
    """The tile size for an upscaler that takes any size: `INNER` pixels and a halo around them."""
    return INNER + 2 * halo, INNER + 2 * halo


def in_tiles(
    upscale: Upscale,
    image: np.ndarray,
    scale: int,
    tile: tuple[int, int],
    halo: int,
    progress: Progress | None = None,
) -> np.ndarray:
    """Upscale in tiles: uint8 (h, w) or (h, w, c) -> (h*scale, w*scale) or (h*scale, w*scale, c).

    A side of the tile that is shorter than the image's must be longer than two halos.
    """
    height, width = image.shape[:2]
    parts = list(itertools.product(_parts(height, tile[0], halo), _parts(width, tile[1], halo)))
    result = np.empty((height * scale, width * scale, *image.shape[2:]), np.uint8)
    for done, (y, x) in enumerate(parts, 1):
        piece = upscale(image[y.start : y.stop, x.start : x.stop])
        result[y.kept(scale), x.kept(scale)] = piece[y.inside(scale), x.inside(scale)]
        if progress:
            progress(done, len(parts))
    return result


@dataclasses.dataclass(frozen=True)
class _Part:
    """Along one axis: a tile reads [start, stop) and contributes [first, last), in LR pixels."""

    start: int
    stop: int
    first: int
    last: int

    def kept(self, scale: int) -> slice:
        """Where its contribution is in the result."""
        return slice(self.first * scale, self.last * scale)

    def inside(self, scale: int) -> slice:
        """Where its contribution is in the upscaled tile."""
        return slice((self.first - self.start) * scale, (self.last - self.start) * scale)


def _parts(length: int, side: int, halo: int) -> list[_Part]:
    """As few tiles as the halo allows, evenly spaced, with cuts in the middle of the overlaps."""
    if length <= side:
        return [_Part(0, length, 0, length)]
    steps = -(-(length - side) // (side - 2 * halo))
    starts = [(length - side) * i // steps for i in range(steps + 1)]
    cuts = [(left + side + right) // 2 for left, right in itertools.pairwise(starts)]
    return [
        _Part(start, start + side, first, last)
        for start, first, last in zip(starts, [0, *cuts], [*cuts, length], strict=True)
    ]
