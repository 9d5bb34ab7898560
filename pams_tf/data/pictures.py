"""Users' image files: greyscale, transparent, rotated by EXIF, with a profile and so on."""

import dataclasses
import os
from pathlib import Path

import numpy as np
from PIL import Image

from pams_tf.data.formats import file_format, misfit
from pams_tf.data.images import save_picture
from pams_tf.data.metadata import Metadata, read_metadata, save_options
from pams_tf.data.opening import open_picture, sixteen_bits, upright
from pams_tf.errors import InputError

_GREY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded image, upright, with its metadata.

    Attributes:
      rgb: uint8 (H, W, 3); the three channels are equal if `grey` is set.
      alpha: uint8 (H, W), or None.
      grey: whether the image was greyscale and will be written as greyscale.
      metadata: what the file says beside its pixels.
      notes: what was lost or noticed when reading, one sentence each.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    metadata: Metadata = dataclasses.field(default_factory=Metadata)
    notes: tuple[str, ...] = ()

    @property
    def transparent(self) -> bool:
        """Whether any pixel lets something through."""
        return self.alpha is not None and bool((self.alpha < 255).any())

    def with_pixels(self, rgb: np.ndarray, alpha: np.ndarray | None) -> "Picture":
        """The same picture with other pixels."""
        return dataclasses.replace(self, rgb=rgb, alpha=alpha)


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Read an image file of any common kind, and turn it upright as its EXIF orientation says.

    Channels of 16 bits are reduced to their upper 8, with a note. Palette images and YCbCr become
    RGB, and bilevel images greyscale.

    Raises:
      InputError: the file is missing, empty, not an image, truncated, too large, animated, for
        print (CMYK), or of another pixel mode (Lab, float, 32 bits). The message names the file and
        the fix.
    """
    path, notes = Path(path), list[str]()
    with open_picture(path, notes) as file:
        if sixteen_bits(file):
            notes.append("16 bits per channel became 8")
        file.load()
        if file.mode not in (*_GREY, *_COLOUR):
            raise InputError(
                f"{path}: unsupported pixel mode {file.mode!r}; convert it to RGB or greyscale"
            )
        picture = upright(file, notes)
        metadata = read_metadata(file, notes)
        rgb, alpha = _pixels(picture, file.info.get("transparency"))
    return Picture(rgb, alpha, file.mode in _GREY, metadata, tuple(notes))


def write_picture(path: str | os.PathLike[str], picture: Picture) -> list[str]:
    """Write a picture with its metadata atomically, in the format that the suffix names.

    A greyscale picture is written as the luma of its channels. An alpha channel that is opaque
    everywhere is dropped where the format has none.

    Returns:
      What of the metadata this format cannot hold, one sentence each.

    Raises:
      InputError: an unknown suffix, an alpha channel or sides that the format cannot hold, an
        unwritable folder, or a full disk.
    """
    path = Path(path)
    check_format(path, *picture.rgb.shape[:2], alpha=picture.transparent)
    image = Image.fromarray(picture.rgb).convert("L" if picture.grey else "RGB")
    whole = not misfit(path, *picture.rgb.shape[:2], alpha=picture.alpha is not None)
    if picture.alpha is not None and whole:
        image.putalpha(Image.fromarray(picture.alpha))
    options, notes = save_options(picture.metadata, file_format(path), image)
    save_picture(path, image, **options)
    return notes


def check_format(path: str | os.PathLike[str], height: int, width: int, *, alpha: bool) -> None:
    """Check, before long work, that the format that the suffix names can hold such a picture.

    Raises:
      InputError: an unknown suffix, or an alpha channel or sides that the format cannot hold.
    """
    if reason := misfit(Path(path), height, width, alpha=alpha):
        raise InputError(f"{path}: {reason}")


def _pixels(picture: Image.Image, key: object) -> tuple[np.ndarray, np.ndarray | None]:
    """RGB (H, W, 3) and alpha (H, W) of an image, whose transparent colour is `key` if it has one.

    Pillow applies the key itself, except to 16 bits per channel.
    """
    if picture.mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.uint16)
        grey = (values >> 8).astype(np.uint8)[..., None].repeat(3, axis=2)
        return grey, None if key is None else np.where(values == key, 0, 255).astype(np.uint8)
    if picture.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        rgb = np.asarray(picture)
        hidden = (rgb == np.array(key) >> 8).all(axis=2)
        return rgb, np.where(hidden, 0, 255).astype(np.uint8)
    if picture.mode in _WITH_ALPHA or key is not None:
        if picture.mode == "La":  # the one of them that Pillow does not convert directly
            picture = picture.convert("LA")
        rgba = np.asarray(picture.convert("RGBA"))
        return rgba[..., :3], rgba[..., 3]
    return np.asarray(picture.convert("RGB")), None
