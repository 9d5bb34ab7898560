"""Unpacking downloaded archives, which are not trusted."""

import errno
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from pams_tf.errors import InputError


class _UnsafeEntryError(Exception):
    pass


# zipfile raises RuntimeError for encrypted files and unknown methods of compression.
_BAD = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    UnicodeError,
    _UnsafeEntryError,
)
# Pictures hardly compress, so an archive that grows more than this was made to fill a disk.
MOST_GROWTH = 8
ALWAYS_ALLOWED = 64 << 20  # bytes


class _Entry(NamedTuple):
    """A file or folder in an archive; `open` gives its content, or None for a folder."""

    name: str
    size: int
    regular: bool
    folder: bool
    open: Callable[[], IO[bytes] | None]

    @property
    def path(self) -> PurePosixPath:
        return PurePosixPath(self.name)


def extract(archive: str | os.PathLike[str], directory: str | os.PathLike[str]) -> list[Path]:
    """Unpack a .zip or .tar into `directory` and return its top-level entries there.

    A file appears complete or not at all, and none appears unless the whole archive can be read.
    Other files in these folders are kept.

    Raises:
      InputError: the archive is corrupt or empty; it holds anything but files and folders inside it
        (a link, a device, a name that leads out), a name twice, or more than `MOST_GROWTH` times
        its own size; or there is too little space.
    """
    archive, directory = Path(archive), Path(directory)
    staging = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _check(archive, free=shutil.disk_usage(directory).free)
        staging = Path(tempfile.mkdtemp(dir=directory, prefix=f".{archive.name}."))
        for entry in _entries(archive):
            _write(entry, staging)
        made = []
        for path in sorted(staging.iterdir()):
            _move(path, directory / path.name)
            made.append(directory / path.name)
        return made
    except _BAD as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        raise InputError(
            f"{archive}: corrupt or unsafe archive ({reason}); delete it and "
            f"{archive.name}.sha256, then download it again"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot unpack {archive} into {directory}: {error.strerror or error}; free some space"
        ) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def _check(archive: Path, free: int) -> None:
    """Read every name and size, and nothing else, before anything is written.

    Python's own `filter="data"` is not enough: links whose path is very long pass it in several
    releases. Here no link is ever made.
    """
    allowed = max(MOST_GROWTH * archive.stat().st_size, ALWAYS_ALLOWED)
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    total = 0
    for entry in _entries(archive):
        path = entry.path
        if not (entry.regular or entry.folder):
            raise _UnsafeEntryError(f"{entry.name!r} is neither a file nor a folder")
        if path.is_absolute() or ".." in path.parts or "\0" in entry.name:
            raise _UnsafeEntryError(f"{entry.name!r} leads out of the folder")
        if entry.regular:
            if path in files:
                raise _UnsafeEntryError(f"{entry.name!r} is in it twice")
            files.add(path)
        folders.update(path.parents if entry.regular else (path, *path.parents))
        total += entry.size
        if total > allowed:
            raise _UnsafeEntryError(
                f"it unpacks to more than {allowed:,} bytes, {MOST_GROWTH} times its own size"
            )
    if not files:
        raise _UnsafeEntryError("it is empty")
    if clash := files & folders:
        raise _UnsafeEntryError(f"{str(min(clash))!r} is both a file and a folder")
    if total > free:
        raise OSError(errno.ENOSPC, f"{total:,} bytes are needed and {free:,} are free")


def _entries(archive: Path) -> Iterator[_Entry]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                # The upper half holds Unix's mode, or 0 if the archive was made on another system.
                kind = stat.S_IFMT(member.external_attr >> 16)
                yield _Entry(
                    member.filename,
                    member.file_size,
                    regular=not member.is_dir() and kind in (0, stat.S_IFREG),
                    folder=member.is_dir() and kind in (0, stat.S_IFDIR),
                    open=partial(file.open, member),
                )
    else:
        with tarfile.open(archive) as file:
            for entry in file:
                content = partial(file.extractfile, entry)
                yield _Entry(entry.name, entry.size, entry.isreg(), entry.isdir(), content)


def _write(entry: _Entry, staging: Path) -> None:
    path = staging / entry.path
    if entry.folder:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    content = entry.open()
    assert content is not None
    with content, path.open("wb") as target:
        shutil.copyfileobj(content, target)


def _move(source: Path, target: Path) -> None:
    if source.is_dir() and target.is_dir():
        for entry in source.iterdir():
            _move(entry, target / entry.name)
    else:
        os.replace(source, target)
