"""Unpacking downloaded archives, which are not trusted."""

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pams_tf.errors import InputError


class _UnsafeEntryError(Exception):
    pass


# zipfile raises RuntimeError for encrypted files.
_BAD = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, _UnsafeEntryError)


def extract(archive: str | os.PathLike[str], directory: str | os.PathLike[str]) -> list[Path]:
    """Unpack a .zip or .tar into `directory` and return its top-level entries there.

    A file appears complete or not at all, and none appears unless the whole archive can be read.
    Other files in these folders are kept.

    Raises:
      InputError: the archive is corrupt, holds anything but files and folders inside it (a link, a
        device, a name that leads out), or cannot be unpacked.
    """
    archive, directory = Path(archive), Path(directory)
    staging = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=directory, prefix=f".{archive.name}."))
        for name, content in _entries(archive):
            _write(staging, name, content)
        made = []
        for entry in sorted(staging.iterdir()):
            _move(entry, directory / entry.name)
            made.append(directory / entry.name)
        return made
    except _BAD as error:
        raise InputError(
            f"{archive}: corrupt or unsafe archive ({error}); delete it and {archive.name}.sha256, "
            "then download it again"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot unpack {archive} into {directory}: {error.strerror or error}; free some space"
        ) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def _entries(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Name and content of everything in the archive; a folder has no content."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                # The upper half holds Unix's mode, or 0 if the archive was made on another system.
                kind = stat.S_IFMT(member.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _UnsafeEntryError(f"{member.filename!r} is neither a file nor a folder")
                yield member.filename, None if member.is_dir() else file.open(member)
    else:
        with tarfile.open(archive) as file:
            for entry in file:
                if not (entry.isfile() or entry.isdir()):
                    raise _UnsafeEntryError(f"{entry.name!r} is neither a file nor a folder")
                yield entry.name, file.extractfile(entry)


def _write(staging: Path, name: str, content: IO[bytes] | None) -> None:
    path = (staging / name).resolve()
    if not path.is_relative_to(staging.resolve()):
        raise _UnsafeEntryError(f"{name!r} leads out of the folder")
    if content is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as target:
        shutil.copyfileobj(content, target)


def _move(source: Path, target: Path) -> None:
    if source.is_dir() and target.is_dir():
        for entry in source.iterdir():
            _move(entry, target / entry.name)
    else:
        os.replace(source, target)
