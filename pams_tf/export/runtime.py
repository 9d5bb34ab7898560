"""Images of any size through a file of one size: overlapping tiles, and no seam between them."""

import dataclasses
import itertools
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from pams_tf import models
from pams_tf.data import resize
from pams_tf.data.pictures import Picture
from pams_tf.errors import InputError
from pams_tf.evaluation.benchmark import Upscaler
from pams_tf.evaluation.interpreter import ImageInterpreter
from pams_tf.evaluation.upscalers import bicubic, keras_upscaler, model_file
from pams_tf.export.receptive_field import receptive_field_radius

Progress = Callable[[int, int], None]
"""Called after each tile with the number of tiles done and of all."""

INNER = 256  # side of what a tile gives where no file says how large a tile is
LEAST_INNER = 8  # below it an image takes tiles without end
BICUBIC_HALO = 4  # its taps reach two pixels
BICUBIC_TILE = (INNER + 2 * BICUBIC_HALO, INNER + 2 * BICUBIC_HALO)


class AnySizeUpscaler:
    """Enlarges images of any size with an upscaler that sees tiles of at most one size.

    Tiles overlap by twice the halo, and of each only what is a halo away from its cuts is kept. A
    halo of the network's receptive field gives the image that the network makes of it in one piece:
    what a tile does not see is too far away to matter, and at the border of the image the tile ends
    too, so zero padding stands where it does for the whole image. With a smaller halo, pixels near
    the cuts are those of a network that sees less far.

    One tile is computed at a time: memory is that of a tile and of the result.

    Args:
      upscaler: enlarges a tile, uint8 (h, w, 3) -> (h*scale, w*scale, 3), h and w at most `tile`'s.
      name: what it is, for messages.
      scale: factor of enlargement.
      tile: height and width of a tile.
      halo: LR pixels on each side of what is kept.

    Raises:
      InputError: the halo is no whole number from 0 up.
    """

    def __init__(
        self, upscaler: Upscaler, *, name: str, scale: int, tile: tuple[int, int], halo: int
    ) -> None:
        if type(halo) is not int or halo < 0:
            raise InputError(f"halo={halo!r} is not possible; give a whole number from 0 up")
        self.name = name
        self.scale = scale
        self.tile = tile
        self.halo = halo
        self._upscaler = upscaler

    def __call__(self, image: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """uint8 RGB (h, w, 3) -> (h * scale, w * scale, 3).

        Raises:
          InputError: no such image, or it is larger than a tile that the halo leaves nothing of.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise InputError(f"cannot enlarge {image.dtype} {image.shape}; give uint8 (h, w, 3)")
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
        return _in_tiles(self._upscaler, image, self.scale, self.tile, self.halo, progress)


class TiledUpscaler(AnySizeUpscaler):
    """Enlarges images of any size through a .tflite file, in tiles of the size it was made for.

    By default the halo is `receptive_field_radius` of the file's own graph, and the result equals,
    code by code, that of the whole image in one piece: 36 pixels for EDSR-baseline, 14 for
    EDSR-mobile, 133 for RDN. A smaller one is faster and shows near the cuts.

    An image that is shorter than a tile along an axis is given to the graph in its own size there.
    A graph that holds its size in constants, as RESHAPE does, cannot take it: then the image is
    mirrored beyond its lower and right border to fill the tile. The network sees a mirror there
    where it would have seen zeros, so pixels within its receptive field of these two borders differ
    from those of the whole image in one piece; all others are the same.

    Args:
      source: a .tflite file of float32, int8 or uint8 images, or its content. A file that leaves
        its size open gets tiles of 256 pixels and the halo around them.
      halo: LR pixels on each side of what is kept of a tile; None for the receptive field.
      num_threads: threads of the kernels; None lets the runtime choose.

    Raises:
      InputError: as `ImageInterpreter` and `receptive_field_radius`, a file that enlarges by no
        whole number, or a halo that is none.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes,
        halo: int | None = None,
        num_threads: int | None = None,
    ) -> None:
        interpreter = ImageInterpreter(source, num_threads)
        halo = receptive_field_radius(source) if halo is None else halo
        super().__init__(
            self._enlarged,
            name=interpreter.name,
            scale=_scale(interpreter),
            tile=interpreter.fixed_size or (INNER + 2 * halo, INNER + 2 * halo),
            halo=halo,
        )
        self._interpreter = interpreter
        self._refused: set[tuple[int, int]] = set()

    def _enlarged(self, piece: np.ndarray) -> np.ndarray:
        height, width = piece.shape[:2]
        if not self._takes(height, width):
            self._interpreter.resize(*self.tile)
            missing = ((0, self.tile[0] - height), (0, self.tile[1] - width), (0, 0))
            piece = np.pad(piece, missing, mode="reflect")
        self._interpreter.set_image(piece)
        self._interpreter.invoke()
        return self._interpreter.image()[: height * self.scale, : width * self.scale]

    def _takes(self, height: int, width: int) -> bool:
        """Resize the graph; False if it cannot be, which is tried once a size."""
        if (height, width) in self._refused:
            return False
        try:
            self._interpreter.resize(height, width)
            # A constant output size could stay what it was, without an error.
            result = tuple(map(int, self._interpreter.output["shape"][1:3]))
            fits = result == (height * self.scale, width * self.scale)
        except InputError:
            fits = False
        if not fits:
            self._refused.add((height, width))
        return fits


def load_any_size(
    spec: str | os.PathLike[str],
    scale: int | None = None,
    halo: int | None = None,
    num_threads: int | None = None,
) -> AnySizeUpscaler:
    """What a user names, for images of any size.

    Args:
      spec: "bicubic", a .tflite file, a .keras file, or a run folder.
      scale: the factor it must have; None for its own, or 4 for bicubic.
      halo: see `AnySizeUpscaler`; None for what the network can see.
      num_threads: of a .tflite file's kernels.

    Raises:
      InputError: `spec` is none of these, cannot be loaded, or enlarges by another factor.
    """
    path = model_file(spec)
    if path is None:
        factor = scale or 4
        return AnySizeUpscaler(
            bicubic(factor), name="bicubic", scale=factor, tile=BICUBIC_TILE, halo=BICUBIC_HALO
        )
    if path.suffix == ".tflite":
        upscaler: AnySizeUpscaler = TiledUpscaler(path, halo, num_threads)
    else:
        upscaler = _of_keras(path, halo)
    if scale not in (None, upscaler.scale):
        raise InputError(
            f"{spec} enlarges x{upscaler.scale}, not x{scale}; leave --scale out, or give a model "
            "made for this factor"
        )
    return upscaler


def upscale_picture(
    picture: Picture, upscaler: AnySizeUpscaler, progress: Progress | None = None
) -> Picture:
    """A picture enlarged: colours by `upscaler`, alpha by bicubic, the rest kept.

    Raises:
      InputError: as the upscaler.
    """
    rgb, alpha = upscaler(picture.rgb, progress), picture.alpha
    if alpha is not None:
        by_bicubic = partial(resize.upscale, scale=upscaler.scale)
        alpha = _in_tiles(by_bicubic, alpha, upscaler.scale, BICUBIC_TILE, BICUBIC_HALO)
    return picture.with_pixels(rgb, alpha)


def _of_keras(path: Path, halo: int | None) -> AnySizeUpscaler:
    model = models.load(path)
    if halo is None:
        halo = models.receptive_field_radius(model.preset, model.scale, **model.overrides)
    return AnySizeUpscaler(
        keras_upscaler(model),
        name=str(path),
        scale=model.scale,
        tile=(INNER + 2 * halo, INNER + 2 * halo),
        halo=halo,
    )


def _scale(interpreter: ImageInterpreter) -> int:
    (height, width), (out_height, out_width) = (
        map(int, details["shape"][1:3]) for details in (interpreter.input, interpreter.output)
    )
    scale = out_height // height
    if scale < 1 or (out_height, out_width) != (height * scale, width * scale):
        raise InputError(
            f"{interpreter.name} turns {height}x{width} into {out_height}x{out_width}, which is no "
            "whole factor; give a super-resolution model"
        )
    return scale


def _in_tiles(
    upscaler: Upscaler,
    image: np.ndarray,
    scale: int,
    tile: tuple[int, int],
    halo: int,
    progress: Progress | None = None,
) -> np.ndarray:
    """uint8 (h, w[, c]) -> (h*scale, w*scale[, c]); a cut side of a tile is above 2 halos."""
    height, width = image.shape[:2]
    parts = list(itertools.product(_parts(height, tile[0], halo), _parts(width, tile[1], halo)))
    result = np.empty((height * scale, width * scale, *image.shape[2:]), np.uint8)
    for done, (y, x) in enumerate(parts, 1):
        piece = upscaler(image[y.start : y.stop, x.start : x.stop])
        result[y.kept(scale), x.kept(scale)] = piece[y.inside(scale), x.inside(scale)]
        if progress:
            progress(done, len(parts))
    return result


@dataclasses.dataclass(frozen=True)
class _Part:
    """Along one axis: a tile reads [start, stop) and gives [first, last), in LR pixels."""

    start: int
    stop: int
    first: int
    last: int

    def kept(self, scale: int) -> slice:
        """What it gives, in the result."""
        return slice(self.first * scale, self.last * scale)

    def inside(self, scale: int) -> slice:
        """What it gives, in the enlarged tile."""
        return slice((self.first - self.start) * scale, (self.last - self.start) * scale)


def _parts(length: int, side: int, halo: int) -> list[_Part]:
    """As few tiles as the halo allows, evenly spread; cuts lie in the middle of the overlaps."""
    if length <= side:
        return [_Part(0, length, 0, length)]
    steps = -(-(length - side) // (side - 2 * halo))
    starts = [(length - side) * i // steps for i in range(steps + 1)]
    cuts = [(left + side + right) // 2 for left, right in itertools.pairwise(starts)]
    return [
        _Part(start, start + side, first, last)
        for start, first, last in zip(starts, [0, *cuts], [*cuts, length], strict=True)
    ]
