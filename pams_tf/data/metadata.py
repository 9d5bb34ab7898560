"""What a picture file says beside its pixels, and how each format holds it."""

import dataclasses
import re
import struct
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

_TELLING = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)  # these describe the photograph; the other tags describe the file it was in
_XMP_TAG, _XMP_KEYWORD = 700, "XML:com.adobe.xmp"
_ORIENTATION = re.compile(rb'\s*tiff:Orientation="\d"|<tiff:Orientation>\d</tiff:Orientation>')
_COMPRESSED = range(1 << 10, 1 << 20)  # many readers refuse a text that unpacks to more than 1 MB
_JPEG_SEGMENT = 65533
_HOLDS = {
    "PNG": {"icc", "exif", "xmp", "dpi", "texts", "colours"},
    "JPEG": {"icc", "exif", "xmp", "dpi", "comment"},
    "WEBP": {"icc", "exif", "xmp"},
    "TIFF": {"icc", "exif", "xmp", "dpi"},
    "AVIF": {"icc", "exif", "xmp"},
    "BMP": {"dpi"},
    "JPEG2000": {"comment"},
}
_NAMES = {
    "icc": "colour profile",
    "exif": "EXIF data",
    "xmp": "XMP",
    "dpi": "resolution",
    "texts": "text",
    "colours": "gamma and primaries",
    "comment": "comment",
}


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What is kept of a picture file beside its pixels.

    Attributes:
      icc: the ICC profile, or None.
      exif: EXIF tags that describe the photograph, by directory; without orientation, preview image
        and maker note.
      xmp: the XMP packet, without orientation, or None.
      dpi: pixels per inch along x and y, or None.
      texts: keyword -> text of a PNG.
      comment: of a JPEG, GIF or JPEG 2000, or None.
      colours: name -> content of the PNG chunks that say what its numbers mean: gAMA, cHRM, sRGB.
    """

    icc: bytes | None = None
    exif: Mapping[int, Mapping[int, Any]] = dataclasses.field(default_factory=dict)
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    texts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    comment: bytes | None = None
    colours: Mapping[bytes, bytes] = dataclasses.field(default_factory=dict)


def read_metadata(file: Image.Image, notes: list[str]) -> Metadata:
    """The metadata of a decoded image; what cannot be read is appended to `notes`."""
    info = file.info
    text = getattr(file, "text", {}) if file.format == "PNG" else {}
    return Metadata(
        icc=info.get("icc_profile") or None,
        exif=_exif(file, notes),
        xmp=_xmp(file),
        dpi=_dpi(info.get("dpi")),
        texts={key: str(value) for key, value in text.items() if key != _XMP_KEYWORD},
        comment=_bytes(info.get("comment")),
        colours=_colours(info) if file.format == "PNG" else {},
    )


def save_options(
    metadata: Metadata, kind: str, picture: Image.Image
) -> tuple[dict[str, Any], list[str]]:
    """Arguments for Pillow's `save`, and a note of what this file cannot hold.

    Args:
      metadata: what to keep.
      kind: Pillow's name of the format.
      picture: the image to be saved.
    """
    kept = {name for name in _NAMES if getattr(metadata, name)} & _HOLDS.get(kind, set())
    left = [name for name in _NAMES if getattr(metadata, name) and name not in kept]
    if "icc" in kept and metadata.icc and metadata.icc[16:20] == b"GRAY" and not _grey(picture):
        kept.remove("icc")  # a profile of another number of channels makes the file invalid
        left.append("icc")
    exif = _exif_bytes(metadata, *picture.size, tiff=kind == "TIFF")
    if kind == "JPEG":
        sizes = {"exif": exif, "xmp": metadata.xmp or b"", "comment": metadata.comment or b""}
        for name, content in sizes.items():
            if name in kept and len(content) > _JPEG_SEGMENT - 64:
                kept.remove(name)
                left.append(name)
    options: dict[str, Any] = {
        name: getattr(metadata, name) for name in ("dpi", "comment", "xmp") if name in kept
    }
    if "icc" in kept:
        options["icc_profile"] = metadata.icc
    if exif and ("exif" in kept or kind == "TIFF"):
        options["exif"] = exif
    if kind == "PNG":
        options.pop("xmp", None)
        options["pnginfo"] = _png_info(metadata)
    notes = [f"{kind} cannot hold its {' and '.join(_NAMES[name] for name in left)}"] * bool(left)
    return options, notes


def _grey(picture: Image.Image) -> bool:
    return picture.mode in ("1", "L", "LA")


def _dpi(found: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in found)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # Below 2 it is the aspect ratio of a JPEG, or a placeholder.
    return (across, down) if min(across, down) >= 2 and max(across, down) < 1e5 else None


def _bytes(found: Any) -> bytes | None:
    return (found.encode() if isinstance(found, str) else found) or None


def _xmp(file: Image.Image) -> bytes | None:
    """The packet without the orientation, which is applied to the pixels."""
    tags = getattr(file, "tag_v2", {})
    found = file.info.get("xmp") or file.info.get(_XMP_KEYWORD) or tags.get(_XMP_TAG)
    packet = _bytes(found) if isinstance(found, str | bytes) else None
    return _ORIENTATION.sub(b"", packet) if packet else None


def _colours(info: Mapping[Any, Any]) -> dict[bytes, bytes]:
    chunks = {}
    if "gamma" in info:
        chunks[b"gAMA"] = struct.pack(">I", round(info["gamma"] * 100_000))
    if "chromaticity" in info:
        chunks[b"cHRM"] = struct.pack(">8I", *(round(x * 100_000) for x in info["chromaticity"]))
    if "srgb" in info:
        chunks[b"sRGB"] = bytes([info["srgb"]])
    return chunks


def _png_info(metadata: Metadata) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for name, chunk in metadata.colours.items():
        info.add(name, chunk)
    texts = dict(metadata.texts)
    if metadata.xmp:
        texts[_XMP_KEYWORD] = metadata.xmp.decode(errors="replace")
    for key, value in texts.items():
        info.add_itxt(key, value, zip=len(value) in _COMPRESSED)
    return info


def _exif(file: Image.Image, notes: list[str]) -> dict[int, dict[int, Any]]:
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
        notes.append(f"its EXIF data cannot be read ({error}) and is left out")
        return {}
    return kept


def _exif_bytes(metadata: Metadata, width: int, height: int, *, tiff: bool) -> bytes:
    block = {directory: dict(values) for directory, values in metadata.exif.items()}
    photograph = block.get(ExifTags.IFD.Exif, {})
    for tag, side in (
        (ExifTags.Base.ExifImageWidth, width),
        (ExifTags.Base.ExifImageHeight, height),
    ):
        if tag in photograph:
            photograph[tag] = side
    if tiff and metadata.xmp:  # a TIFF has XMP as one of its tags
        block.setdefault(0, {})[_XMP_TAG] = metadata.xmp
    return _exif_block(block) if block else b""


def _exif_block(directories: Mapping[int, Mapping[int, Any]]) -> bytes:
    block = Image.Exif()
    for directory, values in directories.items():
        if directory == 0:
            block.update(values)
        else:
            block[directory] = dict(values)
    return block.tobytes()
