"""Atomic file writes: a reader never sees a partial file."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pams_tf.errors import InputError


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open `path` for writing; the complete file appears when the block ends without an error.

    The bytes go to a temporary file in the same folder, are flushed to disk, and the file is then
    renamed to `path`. If anything fails (full disk, exception, kill), the old file is unchanged. An
    exception leaves no temporary file behind.

    Raises:
      InputError: the folder cannot be created or written, or the disk is full.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"
        )
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp creates private files; give this one the permissions of any other output.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; "
            "free some space or choose a folder you may write to"
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text atomically. Raises InputError like `atomic_write`."""
    with atomic_write(path) as file:
        file.write(text.encode())


def check_writable(folder: str | os.PathLike[str]) -> Path:
    """Create `folder` if needed and check, before long work, that files can be written there.

    Raises:
      InputError: they cannot; the message names the folder.
    """
    probe = Path(folder) / ".pams_tf_write_test"
    with atomic_write(probe) as file:
        file.write(b"\0")
    probe.unlink()
    return Path(folder)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files of processes that were killed inside `atomic_write`."""
    for leftover in Path(folder).glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
