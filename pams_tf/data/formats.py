"""Which files are pictures, by the ends of their names, and which formats results can have."""

from pathlib import Path

from PIL import Image

_LOSSY_AND_LOSSLESS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff")
_NEWER = (".avif", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c")
_READ_ONLY = (".gif", ".pbm", ".pgm", ".ppm", ".pnm", ".tga", ".qoi")

_KNOWN = Image.registered_extensions()
WRITABLE = tuple(
    suffix for suffix in (*_LOSSY_AND_LOSSLESS, *_NEWER) if _KNOWN.get(suffix) in Image.SAVE
)
"""Suffixes that can be written. AVIF and JPEG 2000 depend on how Pillow was built."""
READABLE = WRITABLE + tuple(suffix for suffix in _READ_ONLY if _KNOWN.get(suffix) in Image.OPEN)
"""Suffixes of the files that are taken from a folder."""
_OPAQUE = {"JPEG", "BMP"}
_LONGEST = {"JPEG": 65535, "WEBP": 16383, "AVIF": 65536}


def is_picture(path: Path) -> bool:
    """Whether a file's name is that of a picture that can be read; hidden files' are not."""
    return path.suffix.lower() in READABLE and not path.name.startswith(".")


def file_format(path: Path) -> str:
    """Pillow's name of the format that a writable file's suffix stands for."""
    return _KNOWN[path.suffix.lower()]


def written_suffix(suffix: str) -> str:
    """The suffix of a result: the picture's own, or .png where that format holds too little."""
    return suffix if suffix.lower() in WRITABLE else ".png"


def misfit(path: Path, height: int, width: int, *, alpha: bool) -> str | None:
    """Why a file of this name cannot hold such a picture, and what would do; None if it can."""
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        return f"not an image file name; end it in {', '.join(WRITABLE)}"
    kind = file_format(path)
    if alpha and kind in _OPAQUE:
        return f"{suffix} cannot hold an alpha channel; write it as PNG"
    if max(height, width) > _LONGEST.get(kind, max(height, width)):
        return (
            f"{suffix} is limited to {_LONGEST[kind]} pixels per side, but the picture "
            f"is {height}x{width}; write it as PNG"
        )
    return None
