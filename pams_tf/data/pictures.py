"""Pictures as people keep them: grey, transparent, rotated by EXIF, with an ICC profile."""

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
)  # what EXIF says of the photograph; the rest describes the file it was in


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture, upright.

    Attributes:
      rgb: uint8 (H, W, 3); the three channels are equal if it is grey.
      alpha: uint8 (H, W), or None.
      grey: it was grey and will be written so.
      icc: its ICC profile, or None.
      exif: what its EXIF says of the photograph: tags by directory; without orientation, preview
        image and maker's notes.
      notes: what was lost on reading, a sentence each.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    icc: bytes | None = None
    exif: dict[int, dict[int, Any]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def with_pixels(self, rgb: np.ndarray, alpha: np.ndarray | None) -> "Picture":
        """The same picture in other pixels."""
        return dataclasses.replace(self, rgb=rgb, alpha=alpha)


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Read a picture of any kind that people keep; its pixels turned upright as EXIF says.

    16 bits a channel become 8, the upper half, with a note. A palette becomes RGB, bilevel grey.

    Raises:
      InputError: the file is missing, empty, no picture, truncated, too large, animated, for print
        (CMYK) or of another kind of pixels (Lab, float, 32 bits). Names the file and the fix.
    """
    path = Path(path)
    with open_picture(path) as file:
        deep = sixteen_bits(file)
        file.load()
        if file.mode not in (*_GREY, *_COLOUR):
            raise InputError(f"{path}: pixels of mode {file.mode!r}; convert it to RGB or grey")
        picture = ImageOps.exif_transpose(file)
        notes = ("16 bits a channel became 8",) if deep else ()
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
    """Write a picture as the format of the name's suffix, atomically, with all it carries.

    A grey one is written grey (luma of its channels). BMP holds neither EXIF nor a profile.

    Raises:
      InputError: another suffix, an alpha channel in a format without, sides the format cannot
        hold, an unwritable folder, a full disk.
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
    """Prove, before long work, that the format of the name's suffix can hold such a picture.

    Raises:
      InputError: another suffix, no place for an alpha channel, or sides too long.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: no picture's name; end it in {', '.join(SUFFIXES)}")
    if alpha and suffix in _OPAQUE:
        raise InputError(f"{path}: {suffix} has no place for the alpha channel; write it as PNG")
    if max(height, width) > _LONGEST.get(suffix, np.inf):
        raise InputError(
            f"{path}: {suffix} ends at {_LONGEST[suffix]} pixels a side, the picture has "
            f"{height}x{width}; write it as PNG"
        )


def find_pictures(specs: Sequence[str]) -> list[tuple[Path, Path]]:
    """The pictures that files, folders and glob patterns name.

    Args:
      specs: each a file; a folder, for the pictures right in it; or a pattern such as
        "photos/**/*.jpg", for the pictures among what it matches.

    Returns:
      Each picture once, with its path below the folder or below the part of the pattern that is
      no pattern.

    Raises:
      InputError: one of them names no picture.
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
    """The folders before the first part with a wildcard."""
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
    except Exception as error:  # Pillow raises what its parsers raise
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
