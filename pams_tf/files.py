"""Writing files so that a reader never meets half of one."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pams_tf.errors import InputError


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open `path` for writing; it appears, whole, when the block ends without an error.

    The bytes go to a temporary file beside `path`, are flushed to the disk, and take its name in
    one step. If anything fails (full disk, exception, kill) the old file stays as it was and no
    temporary file is left behind by an exception.

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
        # mkstemp makes private files; what we write is as public as any other output.
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
    """Write UTF-8 text atomically. Raises InputError as `atomic_write` does."""
    with atomic_write(path) as file:
        file.write(text.encode())


def check_writable(folder: str | os.PathLike[str]) -> Path:
    """Create `folder` if needed and prove that a file can be written there, before long work.

    Raises:
      InputError: naming the folder.
    """
    probe = Path(folder) / ".pams_tf_write_test"
    with atomic_write(probe) as file:
        file.write(b"\0")
    probe.unlink()
    return Path(folder)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove what a process killed in the middle of `atomic_write` left in `folder`."""
    for leftover in Path(folder).glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
