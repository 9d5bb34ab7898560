"""Opening picture files of strangers: errors that name the file, and warnings as notes."""

import contextlib
import io
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from pams_tf.errors import InputError
from pams_tf.reading import read_bytes
from pams_tf.streams import stderr_caught

MOST_BYTES = 1 << 30
"""A larger file is refused unread."""
MOST_TEXT = 32 << 20
"""Bytes of text in a PNG that are kept; a picture is sound without them."""
_PNG, _TIFF = b"\x89PNG\r\n\x1a\n", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
# What libtiff prints: the place in its code, or Pillow's name for the file, and a sentence.
_LIBTIFF = re.compile(r"(?:tempfile\.tif: )?(_?\w[\w.]*: .+?\.?)$")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextlib.contextmanager
def open_picture(
    path: str | os.PathLike[str], notes: list[str] | None = None
) -> Iterator[Image.Image]:
    """Open an image of one frame without decoding it; errors inside the block name the file.

    Args:
      path: the file.
      notes: what the decoders warn of is appended here, one sentence each, when the block ends.

    Raises:
      InputError: the file is missing, empty, not a regular file, not an image, truncated, too
        large or animated.
    """
    path = Path(path)
    content = read_bytes(path, MOST_BYTES, "split it into parts")
    if not content:
        raise InputError(f"{path}: the file is empty; copy or download it again")
    notes = [] if notes is None else notes
    try:
        with (
            _warnings_in(notes, content.startswith(_TIFF)),
            Image.open(io.BytesIO(_readable_text(content, notes))) as picture,
        ):
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


def picture_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Height and width as stored, before any EXIF orientation, from the file header alone.

    Raises:
      InputError: the file is missing or not an image.
    """
    if not Path(path).is_file():  # opening a pipe could wait forever
        raise InputError(f"{path}: no such picture file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                return picture.height, picture.width
    except Exception as error:  # Pillow's decoders may raise anything
        raise InputError(f"{path}: not a readable picture ({error})") from error


def sixteen_bits(picture: Image.Image) -> bool:
    """Whether an image that is not decoded yet has 16 bits per channel.

    Pillow silently drops the low byte of 16-bit colour; only its list of tiles gives it away.
    """
    return any(";16" in str(tile) for tile in getattr(picture, "tile", ()))


def upright(picture: Image.Image, notes: list[str]) -> Image.Image:
    """The image as its EXIF orientation says it is to be seen.

    An orientation that cannot be read is taken for upright, and appended to `notes`.
    """
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception as error:  # Pillow's parsers may raise anything
        notes.append(f"its EXIF data cannot be read ({_sentence(error)}); it is taken as upright")
        return picture
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


@contextlib.contextmanager
def _warnings_in(notes: list[str], tiff: bool) -> Iterator[None]:
    """Append to `notes` what Pillow warns of, and what libtiff prints to standard error."""
    printed: list[str] = []
    held = stderr_caught(printed) if tiff else contextlib.nullcontext()
    with held, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large is no fault
        warnings.simplefilter("ignore", DeprecationWarning)  # not of the picture
        yield
    for warning in caught:
        _note(notes, f"Pillow warns: {_sentence(warning.message)}")
    for line in printed:
        if found := _LIBTIFF.match(line.strip()):
            _note(notes, f"libtiff warns: {found[1]}")


def _note(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def _sentence(error: Exception | Warning | str) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _readable_text(content: bytes, notes: list[str]) -> bytes:
    """A PNG without the chunks of text that Pillow would refuse, and the picture with them."""
    if not content.startswith(_PNG) or not any(kind in content for kind in _TEXT):
        return content
    # Pillow's own limit of 1 MB is smaller than texts that programs for image generation write.
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = MOST_TEXT
    view, kept, start, left = memoryview(content), [memoryview(content)[:8]], 8, MOST_TEXT
    while start + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        end = start + 12 + length
        size = _text_bytes(kind, content[start + 8 : end - 4], left) if kind in _TEXT else 0
        if size is None or size > left:
            _note(notes, "its text is too large or damaged and is left out")
        else:
            kept.append(view[start:end])
            left -= size
        start = end
    return b"".join(kept)


def _text_bytes(kind: bytes, chunk: bytes, most: int) -> int | None:
    """The size of a chunk's text, unpacked up to `most` bytes and one; None if it is damaged."""
    packed = chunk.partition(b"\0")[2]
    if kind == b"iTXt":
        compressed, packed = packed[:1] == b"\1", packed[2:]
        packed = packed.partition(b"\0")[2].partition(b"\0")[2] if compressed else b""
    elif kind == b"zTXt":
        packed = packed[1:]
    else:
        packed = b""
    if not packed:
        return len(chunk)
    try:
        return len(zlib.decompressobj().decompress(packed, most + 1))
    except zlib.error:
        return None
