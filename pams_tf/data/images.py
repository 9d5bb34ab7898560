"""Reading and writing image files, with errors that name the file."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pams_tf.errors import InputError
from pams_tf.files import atomic_write
from pams_tf.reading import read_bytes

MOST_BYTES = 1 << 30
"""A larger file is refused unread."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_LOSSY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
}
_GREY_OR_COLOUR = ("1", "L", "P", "RGB")
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
        upright = ImageOps.exif_transpose(picture)
        return np.asarray(_rgb(upright, path))


def picture_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Height and width as stored, before any EXIF orientation, from the file header alone.

    Raises:
      InputError: the file is missing or not an image.
    """
    if not Path(path).is_file():  # opening a pipe could wait forever
        raise InputError(f"{path}: no such picture file")
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except Exception as error:  # Pillow's decoders may raise anything
        raise InputError(f"{path}: not a readable picture ({error})") from error


@contextlib.contextmanager
def open_picture(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Open an image of one frame without decoding it; errors inside the block name the file.

    Raises:
      InputError: the file is missing, empty, not a regular file, not an image, truncated, too
        large or animated.
    """
    path = Path(path)
    content = read_bytes(path, MOST_BYTES, "split it into parts")
    if not content:
        raise InputError(f"{path}: the file is empty; copy or download it again")
    try:
        with Image.open(io.BytesIO(content)) as picture:
            # Phones may append a depth or gain map to the photograph in a JPEG (MPO).
            if picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1:
                raise InputError(
                    f"{path}: holds an animation or several pages; save one frame of it"
                )
            yield picture
    except UnidentifiedImageError:
        raise InputError(
            f"{path}: not a picture in a known format; give PNG, JPEG, WebP, BMP or TIFF"
        ) from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: too large ({error}); split it into parts") from None
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders may raise anything
        raise InputError(
            f"{path}: truncated or corrupt ({error}); copy or download it again"
        ) from error


def sixteen_bits(picture: Image.Image) -> bool:
    """Whether an image that is not decoded yet has 16 bits per channel.

    Pillow silently drops the low byte of 16-bit colour; only its list of tiles gives it away.
    """
    return any(";16" in str(tile) for tile in getattr(picture, "tile", ()))


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write uint8 (H, W[, 3]) atomically, in the format that the suffix names.

    JPEG and WebP are written at quality 95, JPEG without chroma subsampling.

    Raises:
      InputError: the suffix or the array is not supported, the folder cannot be written, or the
        disk is full.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: not an image file name; end it in {', '.join(SUFFIXES)}")
    if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)) or image.ndim < 2:
        raise InputError(
            f"{path}: cannot write {image.dtype} {image.shape}; give uint8 (H, W, 3) or (H, W)"
        )
    save_picture(path, Image.fromarray(image))


def save_picture(path: str | os.PathLike[str], picture: Image.Image, **extra: Any) -> None:
    """Write an image atomically, in the format that the suffix names; `extra` goes to Pillow.

    Raises:
      InputError: the format cannot hold the image, the folder cannot be written, or the disk is
        full.
    """
    path = Path(path)
    file_format = Image.registered_extensions()[path.suffix.lower()]
    encoded = io.BytesIO()
    try:
        picture.save(encoded, format=file_format, **_LOSSY.get(file_format, {}), **extra)
    except (OSError, ValueError) as error:  # a side is too long, or the format lacks the mode
        raise InputError(
            f"{path}: {file_format} cannot hold this picture of {picture.height}x{picture.width} "
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
    files = sorted(
        path
        for path in directory.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not files:
        raise InputError(f"{directory}: no images in it; put some there ({', '.join(SUFFIXES)})")
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
