"""Fetching data sets and released weights: resumed, checked, never half there."""

import dataclasses
import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pams_tf.errors import InputError

_CHUNK = 1 << 20
_TRIES = 5
_DROPPED = (
    ConnectionError,
    TimeoutError,
    EOFError,
    urllib.error.URLError,
    http.client.HTTPException,
)
Report = Callable[[int, int | None], None]
"""Called with the bytes there so far and the total, if the server told it."""


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A file to fetch. `sha256` is None where its publisher gives none."""

    url: str
    sha256: str | None = None
    unpack: bool = False

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[1]


_EDSR = "https://cv.snu.ac.kr/research/EDSR"
_DIV2K = "http://data.vision.ee.ethz.ch/cvl/DIV2K"
BENCHMARKS = RemoteFile(f"{_EDSR}/benchmark.tar", unpack=True)
TEACHERS = {
    2: RemoteFile(
        f"{_EDSR}/models/edsr_baseline_x2-1bc95232.pt",
        "1bc9523228fdc3b0a5ddb0d7062001e22b31bbb398ae09cfdefb97e8ee06e171",
    ),
    3: RemoteFile(
        f"{_EDSR}/models/edsr_baseline_x3-abf2a44e.pt",
        "abf2a44e7a137228efa42a4264a23e12603168d43ac7596b1adef40c649b9240",
    ),
    4: RemoteFile(
        f"{_EDSR}/models/edsr_baseline_x4-6b446fab.pt",
        "6b446fab734f4de74448d2fd1f3f990f5bae726e49dc7eff2ae9cefe444a1723",
    ),
}


def div2k_files(scale: int) -> list[RemoteFile]:
    """DIV2K's four archives for one scale: HR and LR, training and validation."""
    return [
        RemoteFile(f"{_DIV2K}/DIV2K_{split}_{kind}.zip", unpack=True)
        for split in ("train", "valid")
        for kind in ("HR", f"LR_bicubic_X{scale}")
    ]


def fetch(
    url: str,
    destination: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    report: Report = lambda done, total: None,
    pause: float = 1.0,
) -> Path:
    """Fetch `url` to `destination`, resuming what an earlier call left in `DESTINATION.part`.

    Without `sha256` the sum that was seen is kept in `DESTINATION.sha256`, and a file that is
    there already must still have it.

    Args:
      url: http or https.
      destination: the file; its folder is made.
      sha256: what the content must have.
      report: told of progress.
      pause: seconds before a dropped connection is tried again, doubled each time.

    Raises:
      InputError: the server refuses or keeps dropping the connection (the part stays, to be
        resumed); the disk is full; or the checksum is wrong (nothing stays).
    """
    destination = Path(destination)
    seen = destination.with_name(f"{destination.name}.sha256")
    part = destination.with_name(f"{destination.name}.part")
    expected = sha256 or (seen.read_text().split()[0] if seen.is_file() else None)
    if destination.is_file() and expected and _sum(destination) == expected:
        return destination
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(_TRIES):
            try:
                _continue(url, part, report)
                break
            except _DROPPED as error:
                if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                    raise InputError(
                        f"{url}: the server answers {error.code} {error.reason}; "
                        "check the address, or give another mirror with --base_url"
                    ) from error
                if attempt == _TRIES - 1:
                    raise InputError(
                        f"{url}: {getattr(error, 'reason', None) or error}; "
                        "start the same command again, it resumes"
                    ) from error
                time.sleep(pause * 2**attempt)
        found = _sum(part)
        if expected and found != expected:
            part.unlink()
            raise InputError(
                f"{url}: wrong checksum, SHA-256 {found} instead of {expected}; nothing was kept. "
                "Try again, or another mirror"
            )
        if not expected:
            seen.write_text(f"{found}  {destination.name}\n")
        os.replace(part, destination)
    except OSError as error:
        raise InputError(
            f"cannot write {destination}: {error.strerror or error}; free some space or choose a "
            "folder you may write to; the same command resumes"
        ) from error
    return destination


def extract(archive: str | os.PathLike[str], directory: str | os.PathLike[str]) -> list[Path]:
    """Unpack a .zip or .tar into `directory`; its top-level entries appear whole or not at all.

    Raises:
      InputError: the archive is corrupt, holds names that lead out of the folder, or cannot be
        written.
    """
    archive, directory = Path(archive), Path(directory)
    staging = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=directory, prefix=f".{archive.name}."))
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as file:
                for name in file.namelist():
                    if not (staging / name).resolve().is_relative_to(staging.resolve()):
                        raise InputError(f"{archive}: {name!r} leads out of the folder")
                file.extractall(staging)
        else:
            with tarfile.open(archive) as file:
                file.extractall(staging, filter="data")
        made = []
        for entry in sorted(staging.iterdir()):
            target = directory / entry.name
            if target.is_dir() and entry.is_dir():
                shutil.copytree(entry, target, dirs_exist_ok=True)
            else:
                os.replace(entry, target)
            made.append(target)
        return made
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise InputError(f"{archive}: corrupt or unsafe archive ({error})") from error
    except OSError as error:
        raise InputError(
            f"cannot unpack {archive} into {directory}: {error.strerror or error}; free some space"
        ) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def _continue(url: str, part: Path, report: Report) -> None:
    """Append to `part` what is missing. Raises EOFError if the server stops before the end."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response: Any = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing behind what we have: it is whole, or not this file's
            raise
        total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if total.isdecimal() and int(total) == have:
            return
        part.unlink()
        raise EOFError("the part was longer than the file; starting over") from error
    with response:
        if response.status != 206:  # the server knows no ranges: from the start
            have = 0
        length = response.headers.get("Content-Length")
        total_bytes = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            done = have
            report(done, total_bytes)
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                report(done, total_bytes)
    if total_bytes is not None and done < total_bytes:
        raise EOFError(f"the connection ended after {done:,} of {total_bytes:,} bytes")


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
