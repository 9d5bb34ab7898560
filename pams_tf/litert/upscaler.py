"""Upscaling of images of any size with a .tflite file."""

import os
import threading
from collections.abc import Callable

import numpy as np

from pams_tf.errors import InputError
from pams_tf.litert.interpreter import ImageInterpreter
from pams_tf.litert.receptive_field import receptive_field_radius
from pams_tf.litert.tiling import TiledUpscaler, Upscale, open_tile


class LiteRTUpscaler(TiledUpscaler):
    """Upscales images of any size with a .tflite file, in tiles of the size it was exported for.

    By default the halo is the receptive field of the file's graph (36 pixels for EDSR-baseline, 14
    for EDSR-mobile, 133 for RDN), and the result equals that of the whole image in one piece, code
    by code. A smaller halo is faster, but visible near the cuts.

    If an image is shorter than a tile along an axis, the graph is resized to the image along that
    axis. A graph whose constants depend on its size, as with RESHAPE, cannot be resized: the image
    is then mirrored at its lower and right border to fill the tile. The network sees the mirrored
    pixels instead of zeros, so pixels within the receptive field of these two borders differ from
    those of the whole image in one piece; all others are the same.

    Several threads may share an upscaler; their tiles are then computed in turn.

    Args:
      model: a .tflite file with float32, int8 or uint8 images, or its content.
      halo: LR pixels on each side of the part of a tile that is kept; None for the receptive field.
      num_threads: number of threads; None takes one per core.
      whole: upscale an image in one piece, whatever its size, if the graph can be resized to it,
        and use tiles only if it cannot. Needs memory for the whole image.
      of_luma: for a file with one channel: makes of its upscaler of Y, (h, w, 1), one of RGB; None
        to upscale Y alone.

    Raises:
      InputError: as in `ImageInterpreter` and `receptive_field_radius`; the upscaling factor of the
        file is not an integer; or the halo is negative or not an integer.

    Source: the receptive field as in Araujo et al. 2019, "Computing Receptive Fields of
    Convolutional Neural Networks" (Distill), applied to the operators of the file.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        *,
        halo: int | None = None,
        num_threads: int | None = None,
        whole: bool = False,
        of_luma: Callable[[Upscale, int], Upscale] | None = None,
    ) -> None:
        self._interpreter = ImageInterpreter(model, num_threads)
        self._of_luma = of_luma if self._interpreter.channels == 1 else None
        self._refused: set[tuple[int, int]] = set()
        self._lock = threading.Lock()  # one interpreter holds one image at a time
        self._whole = whole
        self._model = model
        if halo is None and not whole:
            halo = receptive_field_radius(model)
        size = self._interpreter.fixed_size
        super().__init__(
            self._enlarged,
            name=self._interpreter.name,
            scale=self._interpreter.scale,
            tile=size or (None if halo is None else open_tile(halo)),
            halo=halo or 0,
        )
        self._halo_known = halo is not None

    def _fits(self, height: int, width: int) -> bool:
        with self._lock:
            if self._whole and self._takes(height, width):
                return True
        if not self._halo_known:  # the graph cannot be resized, so tiles need a halo
            self.halo, self._halo_known = receptive_field_radius(self._model), True
        return False

    def _enlarged(self, piece: np.ndarray) -> np.ndarray:
        height, width = piece.shape[:2]
        with self._lock:
            if not self._takes(height, width):
                if self.tile is None:
                    raise InputError(f"{self.name} cannot take an image of {height}x{width}")
                self._interpreter.resize(*self.tile)
                missing = ((0, self.tile[0] - height), (0, self.tile[1] - width), (0, 0))
                piece = np.pad(piece, missing, mode="reflect")
            run: Upscale = self._interpreter.run
            if self._of_luma is not None:
                run = self._of_luma(run, self.scale)
            return run(piece)[: height * self.scale, : width * self.scale]

    def _takes(self, height: int, width: int) -> bool:
        """Resize the graph; False if that is impossible, which is tried only once per size."""
        if (height, width) in self._refused:
            return False
        scale = self._interpreter.scale
        try:
            self._interpreter.resize(height, width)
            # A constant output size could stay unchanged, without an error.
            result = tuple(map(int, self._interpreter.output["shape"][1:3]))
            fits = result == (height * scale, width * scale)
        except InputError:
            fits = False
        if not fits:
            self._refused.add((height, width))
        return fits
