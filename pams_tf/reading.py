"""Reading files that are not trusted: their kind and size are looked at before their content."""

import json
import os
import stat
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pams_tf.errors import InputError

if TYPE_CHECKING:
    import numpy as np  # loaded where arrays are read: flags are answered without it

MOST_JSON_BYTES = 64 << 20
MOST_JSON_DEPTH = 100
MOST_MODEL_BYTES = 2 << 30
"""Of a file of weights, which is read whole."""
MOST_GROWTH = 8
"""Weights and pictures hardly compress: an archive that grows more was made to fill memory."""
ALWAYS_ALLOWED = 64 << 20
"""Bytes that any archive may unpack to."""


def read_bytes(path: str | os.PathLike[str], most: int, advice: str) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Args:
      path: the file.
      most: a larger file is refused unread.
      advice: what to do about a larger one, for the message.

    Raises:
      InputError: the file is missing, is a folder, pipe or device (which might never end), or is
        too large.
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "folder" if stat.S_ISDIR(status.st_mode) else "pipe or device"
            raise InputError(f"{path}: a {kind}; give a file")
        if status.st_size > most:
            raise InputError(f"{path}: {status.st_size:,} bytes, more than {most:,}; {advice}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        # ValueError: a name with a zero byte in it.
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason})") from error


def read_json(path: str | os.PathLike[str]) -> Any:
    """What a JSON file holds, as in `parse_json`.

    Raises:
      InputError: the file is missing, of another kind, too large, or `parse_json` refuses it; the
        message names it.
    """
    return parse_json(read_bytes(path, MOST_JSON_BYTES, "this is not the JSON wanted"), str(path))


def parse_json(content: bytes | str, source: str) -> Any:
    """What a JSON text of a reasonable depth holds.

    Args:
      content: the text; bytes are UTF-8.
      source: where it comes from, for messages.

    Raises:
      InputError: it is not JSON, or is nested more than `MOST_JSON_DEPTH` levels deep.
    """
    try:
        found = json.loads(content)
    except RecursionError:
        raise InputError(f"{source}: not readable JSON (nested too deeply)") from None
    except ValueError as error:
        raise InputError(f"{source}: not readable JSON ({error})") from None
    level, depth = [found], 0
    while level:  # not recursive: the text may be nested as deeply as Python allows
        if depth > MOST_JSON_DEPTH:
            raise InputError(f"{source}: not readable JSON (nested too deeply)")
        inner = [item for item in level if isinstance(item, dict | list)]
        level = [
            value for item in inner for value in (item.values() if isinstance(item, dict) else item)
        ]
        depth += 1
    return found


def excerpt(value: Any, most: int = 60) -> str:
    """A value as it appears in a message: its `repr`, cut after `most` characters."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}..."


def check_finite(array: "np.ndarray", name: str) -> None:
    """Check that an array holds finite numbers.

    Raises:
      InputError: it holds NaN, infinity, or something that is no real number; names the array.
    """
    import numpy as np

    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} holds {array.dtype}, not real numbers; give other weights")
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds values that are not finite; give other weights")


def check_growth(path: str | os.PathLike[str]) -> None:
    """Check that a zip archive of weights (.keras, .npz, .pt) does not unpack to far more.

    Raises:
      InputError: it does, or names a member twice.
      zipfile.BadZipFile, OSError: it is no zip archive that can be read.
    """
    with zipfile.ZipFile(path) as file:
        members = file.infolist()
    total = sum(member.file_size for member in members)
    if total > max(MOST_GROWTH * Path(path).stat().st_size, ALWAYS_ALLOWED):
        raise InputError(
            f"{path}: unpacks to {total:,} bytes, more than {MOST_GROWTH} times its own size, as "
            "weights never do; copy or download it again"
        )
    if len({member.filename for member in members}) < len(members):
        raise InputError(f"{path}: holds a member twice; copy or download it again")


def read_npz(path: str | os.PathLike[str]) -> "dict[str, np.ndarray]":
    """The arrays of an `.npz` file by name. No object is unpickled.

    Raises:
      InputError: the file is missing, too large, or not a readable `.npz` file.
    """
    import numpy as np

    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        check_growth(path)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except InputError:
        raise
    except Exception as error:  # NumPy raises zip, pickle and value errors, among others
        reason = (str(error).strip().splitlines() or ["damaged"])[0]
        raise InputError(f"{path}: not a readable .npz file ({reason})") from error
