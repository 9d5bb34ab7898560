"""Reading and writing image files as arrays, with errors that name the file."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pams_tf.data.formats import READABLE, file_format, is_picture, misfit
from pams_tf.data.opening import open_picture, sixteen_bits, upright
from pams_tf.errors import InputError
from pams_tf.files import atomic_write

_LOSSY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
}
_GREY_OR_COLOUR = ("1", "L", "P", "RGB", "YCbCr")
_WITH_ALPHA = ("LA", "PA", "RGBA")


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an image as uint8 RGB (H, W, 3); greyscale and palette images become RGB.

    Raises:
      InputError: the file is missing, empty, not an image, truncated, CMYK, animated, transparent,
        or has more than 8 bits per channel. The message names the file and the fix.
    """
    path = Path(path)
    with open_picture(path) as picture:
        if sixteen_bits(picture):
            raise InputError(f"{path}: has 16 bits per channel; convert it to 8-bit RGB")
        picture.load()
        return np.asarray(_rgb(upright(picture, []), path))


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write uint8 (H, W[, 3]) atomically, in the format that the suffix names.

    JPEG, WebP and AVIF are written at quality 95, JPEG and AVIF without chroma subsampling.

    Raises:
      InputError: the suffix or the array is not supported, the folder cannot be written, or the
        disk is full.
    """
    path = Path(path)
    if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)) or image.ndim < 2:
        raise InputError(
            f"{path}: cannot write {image.dtype} {image.shape}; give uint8 (H, W, 3) or (H, W)"
        )
    if reason := misfit(path, *image.shape[:2], alpha=False):
        raise InputError(f"{path}: {reason}")
    save_picture(path, Image.fromarray(image))


def save_picture(path: str | os.PathLike[str], picture: Image.Image, **extra: Any) -> None:
    """Write an image atomically, in the format that the suffix names; `extra` goes to Pillow.

    Raises:
      InputError: the format cannot hold the image, the folder cannot be written, or the disk is
        full.
    """
    path = Path(path)
    kind = file_format(path)
    encoded = io.BytesIO()
    try:
        picture.save(encoded, format=kind, **_LOSSY.get(kind, {}), **extra)
    except (OSError, ValueError) as error:  # a side is too long, or the format lacks the mode
        raise InputError(
            f"{path}: {kind} cannot hold this picture of {picture.height}x{picture.width} "
            f"({error}); write it as PNG"
        ) from error
    with atomic_write(path) as file:
        file.write(encoded.getbuffer())


def list_images(directory: str | os.PathLike[str]) -> list[Path]:
    """The images directly in a folder, sorted by name; hidden files are skipped.

    Raises:
      InputError: there is no such folder, or no image in it.
    """
    directory = Path(directory)
    if not directory.is_dir():
        what = "is a file; give the folder it is in" if directory.exists() else "no such folder"
        raise InputError(f"{directory}: {what}")
    files = sorted(path for path in directory.iterdir() if is_picture(path))
    if not files:
        raise InputError(f"{directory}: no images in it; put some there ({', '.join(READABLE)})")
    return files


def _rgb(picture: Image.Image, path: Path) -> Image.Image:
    transparent = picture.mode in _WITH_ALPHA or "transparency" in picture.info
    if picture.mode == "CMYK":
        raise InputError(f"{path}: CMYK, which is for print; convert it to RGB")
    if picture.mode not in (*_GREY_OR_COLOUR, *_WITH_ALPHA):
        raise InputError(
            f"{path}: unsupported pixel mode {picture.mode!r}, more than 8 bits per channel; "
            "convert it to 8-bit RGB"
        )
    if transparent:
        alpha = np.asarray(picture.convert("RGBA"))[..., 3]
        if (alpha < 255).any():
            raise InputError(f"{path}: has transparent pixels; flatten it onto a background")
    return picture.convert("RGB")
