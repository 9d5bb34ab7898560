"""Users' image files: greyscale, transparent, rotated by EXIF, with an ICC profile."""

import dataclasses
import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from pams_tf.data.images import SUFFIXES, list_images, open_picture, save_picture, sixteen_bits
from pams_tf.errors import InputError

_GREY = ("1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N")
_COLOUR = ("P", "PA", "RGB", "RGBA")
_OPAQUE = (".jpg", ".jpeg", ".bmp")
_LONGEST = {".jpg": 65535, ".jpeg": 65535, ".webp": 16383}
_TELLING = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)  # these describe the photograph; the other tags describe the file it was in


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded image, upright, with its metadata.

    Attributes:
      rgb: uint8 (H, W, 3); the three channels are equal if `grey` is set.
      alpha: uint8 (H, W), or None.
      grey: whether the image was greyscale and will be written as greyscale.
      icc: the ICC profile, or None.
      exif: EXIF tags that describe the photograph, by directory; without orientation, preview image
        and maker note.
      notes: what was lost when reading, one sentence each.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    icc: bytes | None = None
    exif: dict[int, dict[int, Any]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def with_pixels(self, rgb: np.ndarray, alpha: np.ndarray | None) -> "Picture":
        """The same picture with other pixels."""
        return dataclasses.replace(self, rgb=rgb, alpha=alpha)


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Read an image file of any common kind, and turn it upright as its EXIF orientation says.

    Channels of 16 bits are reduced to their upper 8, with a note. Palette images become RGB, and
    bilevel images greyscale.

    Raises:
      InputError: the file is missing, empty, not an image, truncated, too large, animated, for
        print (CMYK), or of another pixel mode (Lab, float, 32 bits). The message names the file and
        the fix.
    """
    path = Path(path)
    with open_picture(path) as file:
        deep = sixteen_bits(file)
        file.load()
        if file.mode not in (*_GREY, *_COLOUR):
            raise InputError(
                f"{path}: unsupported pixel mode {file.mode!r}; convert it to RGB or greyscale"
            )
        picture = ImageOps.exif_transpose(file)
        notes = ("16 bits per channel became 8",) if deep else ()
        exif, unreadable = _exif(file)
        alpha = None
        if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
            alpha = np.asarray(picture.convert("RGBA"))[..., 3]
        if picture.mode.startswith("I;16"):
            values = (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
            rgb = values[..., None].repeat(3, axis=2)
        else:
            rgb = np.asarray(picture.convert("RGBA" if alpha is not None else "RGB"))[..., :3]
        return Picture(
            rgb=rgb,
            alpha=alpha,
            grey=picture.mode in _GREY,
            icc=file.info.get("icc_profile") or None,
            exif=exif,
            notes=(*notes, *unreadable),
        )


def write_picture(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write a picture with its metadata atomically, in the format that the suffix names.

    A greyscale picture is written as the luma of its channels. BMP holds neither EXIF nor an ICC
    profile.

    Raises:
      InputError: an unknown suffix, an alpha channel or sides that the format cannot hold, an
        unwritable folder, or a full disk.
    """
    path = Path(path)
    check_format(path, *picture.rgb.shape[:2], alpha=picture.alpha is not None)
    image = Image.fromarray(picture.rgb).convert("L" if picture.grey else "RGB")
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    extra: dict[str, Any] = {}
    if picture.icc:
        extra["icc_profile"] = picture.icc
    if picture.exif:
        extra["exif"] = _exif_of(picture)
    save_picture(path, image, **extra)


def check_format(path: str | os.PathLike[str], height: int, width: int, *, alpha: bool) -> None:
    """Check, before long work, that the format that the suffix names can hold such a picture.

    Raises:
      InputError: an unknown suffix, or an alpha channel or sides that the format cannot hold.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: not an image file name; end it in {', '.join(SUFFIXES)}")
    if alpha and suffix in _OPAQUE:
        raise InputError(f"{path}: {suffix} cannot hold an alpha channel; write it as PNG")
    if max(height, width) > _LONGEST.get(suffix, np.inf):
        raise InputError(
            f"{path}: {suffix} is limited to {_LONGEST[suffix]} pixels per side, but the picture "
            f"is {height}x{width}; write it as PNG"
        )


def find_pictures(specs: Sequence[str]) -> list[tuple[Path, Path]]:
    """Find the image files named by files, folders and glob patterns.

    Args:
      specs: each one a file; a folder, for the images directly in it; or a pattern such as
        "photos/**/*.jpg", for the images among its matches.

    Returns:
      Each file once, with its path relative to the folder, or to the part of the pattern before
      the first wildcard.

    Raises:
      InputError: one of them names no image.
    """
    found: dict[Path, Path] = {}
    for spec in specs:
        path = Path(spec)
        if path.is_dir():
            matches = [(file, Path(file.name)) for file in list_images(path)]
        elif path.exists() or not glob.has_magic(spec):
            if not path.exists():
                raise InputError(f"{spec}: no such file or folder")
            matches = [(path, Path(path.name))]
        else:
            root = _root(path)
            files = sorted(Path(name) for name in glob.glob(spec, recursive=True))
            matches = [
                (file, file.relative_to(root))
                for file in files
                if file.suffix.lower() in SUFFIXES and file.is_file()
            ]
            if not matches:
                raise InputError(f"{spec}: matches no picture ({', '.join(SUFFIXES)})")
        for file, below in matches:
            found.setdefault(file, below)
    return list(found.items())


def _root(pattern: Path) -> Path:
    """The leading folders of a pattern, up to the first part with a wildcard."""
    parts = list(pattern.parts[:-1])
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:fixed])


def _exif(file: Image.Image) -> tuple[dict[int, dict[int, Any]], tuple[str, ...]]:
    """The tags worth keeping, and a note if they cannot be read."""
    try:
        tags = file.getexif()
        kept: dict[int, dict[int, Any]] = {
            0: {tag: value for tag, value in tags.items() if tag in _TELLING},
            ExifTags.IFD.Exif: dict(tags.get_ifd(ExifTags.IFD.Exif)),
            ExifTags.IFD.GPSInfo: dict(tags.get_ifd(ExifTags.IFD.GPSInfo)),
        }
        for tag in (ExifTags.Base.MakerNote, ExifTags.Base.ExifInteroperabilityOffset):
            kept[ExifTags.IFD.Exif].pop(tag, None)
        kept = {directory: values for directory, values in kept.items() if values}
        _exif_block(kept)
    except Exception as error:  # Pillow's parsers may raise anything
        return {}, (f"its EXIF data cannot be read ({error}) and is left out",)
    return kept, ()


def _exif_of(picture: Picture) -> bytes:
    height, width = picture.rgb.shape[:2]
    block = {directory: dict(values) for directory, values in picture.exif.items()}
    photograph = block.get(ExifTags.IFD.Exif, {})
    for tag, side in (
        (ExifTags.Base.ExifImageWidth, width),
        (ExifTags.Base.ExifImageHeight, height),
    ):
        if tag in photograph:
            photograph[tag] = side
    return _exif_block(block)


def _exif_block(directories: dict[int, dict[int, Any]]) -> bytes:
    block = Image.Exif()
    for directory, values in directories.items():
        if directory == 0:
            block.update(values)
        else:
            block[directory] = values
    return block.tobytes()
