"""Any model as an upscaler for images of any size."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pams_tf import locate
from pams_tf.data import colour, resize
from pams_tf.data.pictures import Picture
from pams_tf.data.transparency import fill_hidden
from pams_tf.errors import InputError
from pams_tf.litert.interpreter import to_image
from pams_tf.litert.tiling import Progress, TiledUpscaler, Upscale, in_tiles, open_tile
from pams_tf.litert.upscaler import LiteRTUpscaler

if TYPE_CHECKING:
    from pams_tf.models import SuperResolution

Model: TypeAlias = "str | os.PathLike[str] | bytes | SuperResolution"
"""The models that `Upscaler` accepts."""

BICUBIC_HALO = 4  # bicubic interpolation reaches two pixels


class Upscaler:
    """Upscales images of any size with any model, in overlapping tiles that leave no seam.

    Example:
      >>> import numpy as np, pams_tf
      >>> upscaler = pams_tf.Upscaler("edsr_mobile_x2_8bit")
      >>> upscaler(np.zeros((40, 50, 3), np.uint8)).shape
      (80, 100, 3)

    Args:
      model: a .tflite file or its content (bytes); a .keras file, a run folder or a name in the zoo
        (see `pams_tf.load`); a Keras model of `pams_tf`; or "bicubic".
      scale: the upscaling factor that the model must have; None for the model's own, and 4 for
        bicubic.
      halo: LR pixels on each side of the part of a tile that is kept. None for the model's
        receptive field, with which the result equals that of the whole image, code by code.
      num_threads: number of threads for a .tflite file; None takes one per core.
      whole: upscale each image in one piece where the model allows it, without tiles.

    Attributes:
      name: name of the model in messages.
      scale: upscaling factor.

    Raises:
      InputError: the model cannot be found, loaded or run, or has another upscaling factor.

    Source: docs/integer_files.md, "Images of any size".
    """

    def __init__(
        self,
        model: Model,
        *,
        scale: int | None = None,
        halo: int | None = None,
        num_threads: int | None = None,
        whole: bool = False,
    ) -> None:
        self._tiled = _upscaler(model, scale, halo, num_threads, whole)
        self.name, self.scale = self._tiled.name, self._tiled.scale
        if scale not in (None, self.scale):
            raise InputError(
                f"{self.name} upscales x{self.scale}, not x{scale}; leave the scale out, or give "
                "a model made for this factor"
            )

    def __call__(self, image: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """uint8 RGB (h, w, 3) -> uint8 RGB (h * scale, w * scale, 3).

        Args:
          image: an image of any size.
          progress: called after each tile with the number of tiles done and the total.

        Raises:
          InputError: the image has the wrong type or shape, or the model's input is too small for
            its halo.
        """
        return self._tiled(image, progress)

    @property
    def tile(self) -> tuple[int, int] | None:
        """Height and width of a tile in LR pixels; None if images are upscaled in one piece."""
        return self._tiled.tile

    @property
    def halo(self) -> int:
        """LR pixels on each side of the part of a tile that is kept."""
        return self._tiled.halo


def bicubic(scale: int) -> Upscale:
    """MATLAB's bicubic interpolation, the baseline of every paper, as a function of one image."""
    return partial(resize.upscale, scale=scale)


def keras_function(model: Callable[..., Any], channels: int = 3) -> Upscale:
    """A Keras model as a function of one image, uint8 (h, w, C) -> (h*s, w*s, C).

    Args:
      model: maps float32 (1, h, w, C) in [0, 255] to (1, h*s, w*s, C). One graph serves images of
        every size; results are rounded half to even and clipped.
      channels: C.
    """
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, channels), tf.float32)])
    def forward(images: Any) -> Any:
        return tf.cast(model(images, training=False), tf.float32)

    return lambda image: to_image(forward(image[None].astype(np.float32)).numpy()[0])


def keras_upscale(model: Callable[..., Any]) -> Upscale:
    """A network as a function of one RGB image; the colours of one for Y are bicubic."""
    channels = getattr(model, "channels", 3)
    upscale = keras_function(model, channels)
    return upscale if channels == 3 else of_luma(upscale, model.scale)  # type: ignore[attr-defined]


def of_luma(upscale: Upscale, scale: int) -> Upscale:
    """An upscaler of Y, uint8 (h, w, 1), as one of RGB: Cb and Cr are enlarged by bicubic.

    Y is rounded to whole numbers in front of it, because a file takes bytes.
    """

    def upscale_rgb(image: np.ndarray) -> np.ndarray:
        return with_colours(upscale(colour.seen(image, 1).astype(np.uint8)), image)

    return upscale_rgb


def with_colours(y: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Enlarged Y, uint8 (H, W, 1), with the colours of its LR image, uint8 (h, w, 3), as RGB."""
    y = y[..., 0]
    return colour.rgb(y, resize.resize(colour.chroma(image), *y.shape))


def tflite_upscale(
    model: str | os.PathLike[str] | bytes, num_threads: int | None = None
) -> Upscale:
    """A .tflite file as a function of one image of any size, in one piece.

    Raises:
      InputError: see `LiteRTUpscaler`; the returned function raises it if the file cannot take the
        size of the image.
    """
    return LiteRTUpscaler(model, num_threads=num_threads, whole=True, of_luma=of_luma)


def upscale_picture(
    picture: Picture, upscaler: Upscaler, progress: Progress | None = None
) -> Picture:
    """Upscale a picture: colours with `upscaler`, alpha channel with bicubic, metadata unchanged.

    Pixels that are transparent altogether get the colour of visible ones first.

    Raises:
      InputError: see `Upscaler`.
    """
    rgb, alpha = picture.rgb, picture.alpha
    if alpha is None:
        return picture.with_pixels(upscaler(rgb, progress), None)
    scale = upscaler.scale
    rgb = upscaler(fill_hidden(rgb, alpha), progress)
    alpha = in_tiles(bicubic(scale), alpha, scale, open_tile(BICUBIC_HALO), BICUBIC_HALO)
    return picture.with_pixels(rgb, alpha)


def _upscaler(
    model: Model, scale: int | None, halo: int | None, num_threads: int | None, whole: bool
) -> TiledUpscaler:
    if isinstance(model, bytes):
        return _of_file(model, halo, num_threads, whole)
    if not isinstance(model, str | os.PathLike):
        return _of_keras(model, model.name, halo, whole)
    if str(model) == locate.BICUBIC:
        return TiledUpscaler(
            bicubic(scale or 4),
            name=locate.BICUBIC,
            scale=scale or 4,
            tile=None if whole else open_tile(BICUBIC_HALO),
            halo=BICUBIC_HALO,
        )
    path = locate.model_file(model)
    if path.suffix == ".tflite":
        return _of_file(path, halo, num_threads, whole)
    from pams_tf import models

    name = Path(model).resolve().name if Path(model).is_dir() else str(path)
    return _of_keras(models.load(path), name, halo, whole)


def _of_file(
    model: bytes | Path, halo: int | None, num_threads: int | None, whole: bool
) -> TiledUpscaler:
    return LiteRTUpscaler(model, halo=halo, num_threads=num_threads, whole=whole, of_luma=of_luma)


def _of_keras(model: Any, name: str, halo: int | None, whole: bool) -> TiledUpscaler:
    if halo is None and not whole:
        halo = model.reach.radius
    step = model.reach.step
    return TiledUpscaler(
        keras_upscale(model),
        name=name,
        scale=model.scale,
        tile=None if whole or halo is None else open_tile(halo, step),
        halo=halo or 0,
        step=step,
    )
