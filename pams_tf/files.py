"""Atomic file writes: a reader never sees a partial file."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
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
        # A part of the name: the whole one and more might be too long for the file system.
        descriptor, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name[:32]}.", suffix=".tmp"
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
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def write_together(contents: Mapping[str | os.PathLike[str], bytes]) -> None:
    """Write several files atomically: all of them appear, or, with an error, none.

    Raises:
      InputError: as in `atomic_write`.
    """
    with contextlib.ExitStack() as stack:
        for path, content in contents.items():
            file = stack.enter_context(atomic_write(path))
            file.write(content)
            file.flush()  # a full disk shows here, before the first file is in its place
            os.fsync(file.fileno())


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text atomically. Raises InputError like `atomic_write`."""
    with atomic_write(path) as file:
        file.write(text.encode(errors="backslashreplace"))  # JSON may hold halves of characters


def check_writable(folder: str | os.PathLike[str]) -> Path:
    """Create `folder` if needed and check, before long work, that files can be written there.

    Raises:
      InputError: they cannot; the message names the folder.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files of processes that were killed inside `atomic_write`."""
    for leftover in Path(folder).glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> InputError:
    """The error to raise for a file or folder that cannot be written, with advice that fits."""
    advice = "free some space or choose a folder you may write to"
    if error.errno == errno.ENAMETOOLONG:
        advice = "give it a shorter name"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        advice = "a part of it is a file; choose another folder"
    elif error.errno == errno.EISDIR:
        advice = "it is a folder; give the name of a file"
    return InputError(f"cannot write {path}: {error.strerror or error}; {advice}")


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
