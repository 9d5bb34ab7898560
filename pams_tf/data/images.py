"""Reading and writing pictures; what cannot be used is refused by name."""

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

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_LOSSY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
}
_GREY_OR_COLOUR = ("1", "L", "P", "RGB")
_WITH_ALPHA = ("LA", "PA", "RGBA")


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture as uint8 RGB (H, W, 3); grey and palette files become RGB.

    Raises:
      InputError: the file is missing, empty, no picture, truncated, CMYK, of more than 8 bits a
        channel, animated or transparent. Names the file and the fix.
    """
    path = Path(path)
    with open_picture(path) as picture:
        if sixteen_bits(picture):
            raise InputError(f"{path}: 16 bits a channel; convert it to 8-bit RGB")
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        return np.asarray(_rgb(upright, path))


def picture_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Height and width as stored, before any EXIF orientation, from the file's header alone.

    Raises:
      InputError: the file is missing or no picture.
    """
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: not a readable picture ({error})") from error


@contextlib.contextmanager
def open_picture(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """A picture of one frame, not decoded yet; what goes wrong with it in the block is named.

    Raises:
      InputError: the file is missing, empty, no picture, truncated, too large or animated.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not content:
        raise InputError(f"{path}: the file is empty; copy or download it again")
    try:
        with Image.open(io.BytesIO(content)) as picture:
            # A phone's JPEG may carry a depth or gain map behind the photograph (MPO).
            if picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1:
                raise InputError(f"{path}: an animation or several pages; save one frame alone")
            yield picture
    except UnidentifiedImageError:
        raise InputError(
            f"{path}: not a picture in a known format; give PNG, JPEG, WebP, BMP or TIFF"
        ) from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: too large ({error}); cut it into parts") from None
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow raises what its decoders raise
        raise InputError(
            f"{path}: truncated or corrupt ({error}); copy or download it again"
        ) from error


def sixteen_bits(picture: Image.Image) -> bool:
    """Whether a picture, not decoded yet, has 16 bits a channel.

    Pillow drops the lower half of 16-bit colour without a word; only the tiles tell.
    """
    return any(";16" in str(tile) for tile in getattr(picture, "tile", ()))


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write uint8 (H, W[, 3]) as the format of the name's suffix, atomically.

    JPEG and WebP are written at quality 95, JPEG with full colour resolution.

    Raises:
      InputError: another suffix or kind of array; the folder cannot be written; the disk is full.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: no picture's name; end it in {', '.join(SUFFIXES)}")
    if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)) or image.ndim < 2:
        raise InputError(
            f"{path}: cannot write {image.dtype} {image.shape}; give uint8 (H, W, 3) or (H, W)"
        )
    save_picture(path, Image.fromarray(image))


def save_picture(path: str | os.PathLike[str], picture: Image.Image, **extra: Any) -> None:
    """Write a picture as the format of the name's suffix, atomically; `extra` goes to Pillow.

    Raises:
      InputError: the format cannot hold it; the folder cannot be written; the disk is full.
    """
    path = Path(path)
    file_format = Image.registered_extensions()[path.suffix.lower()]
    encoded = io.BytesIO()
    try:
        picture.save(encoded, format=file_format, **_LOSSY.get(file_format, {}), **extra)
    except (OSError, ValueError) as error:  # a side too long, a mode without a place
        raise InputError(
            f"{path}: {file_format} cannot hold this picture of {picture.height}x{picture.width} "
            f"({error}); write it as PNG"
        ) from error
    with atomic_write(path) as file:
        file.write(encoded.getbuffer())


def list_images(directory: str | os.PathLike[str]) -> list[Path]:
    """The pictures right in a folder, by name; hidden files are left out.

    Raises:
      InputError: there is no such folder, or no picture in it.
    """
    directory = Path(directory)
    if not directory.is_dir():
        what = "a file; give the folder it is in" if directory.exists() else "no such folder"
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
        raise InputError(f"{path}: a CMYK picture for print; convert it to RGB")
    if picture.mode not in (*_GREY_OR_COLOUR, *_WITH_ALPHA):
        raise InputError(
            f"{path}: pixels of mode {picture.mode!r}, more than 8 bits a channel; "
            "convert it to 8-bit RGB"
        )
    if transparent:
        alpha = np.asarray(picture.convert("RGBA"))[..., 3]
        if (alpha < 255).any():
            raise InputError(f"{path}: transparent pixels; flatten it onto a background")
    return picture.convert("RGB")
