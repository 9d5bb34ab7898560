"""Downloading data sets and released weights: resumable, checksummed, never partial."""

import dataclasses
import hashlib
import http.client
import os
import shutil
import ssl
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
    ssl.SSLError,
)
Report = Callable[[int, int | None], None]
"""Called with the number of bytes so far and the total, or None if the server did not send it."""


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A file to download. `sha256` is None if its publisher gives none."""

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


# As recorded by TensorFlow Datasets (datasets/div2k/checksums.tsv).
_DIV2K_SUMS = {
    "train_HR": "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
    "train_LR_bicubic_X2": "a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850",
    "train_LR_bicubic_X3": "ad5c8e5507e2765823d3c2c5bd0934842efcd487c5370604c224090898b3163a",
    "train_LR_bicubic_X4": "f006b837f4eb52b82909aa01478e6d6d199eefce932179491d0c9dbb706dde3a",
    "valid_HR": "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
    "valid_LR_bicubic_X2": "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57",
    "valid_LR_bicubic_X3": "04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3",
    "valid_LR_bicubic_X4": "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553",
}


def div2k_files(scale: int) -> list[RemoteFile]:
    """DIV2K's four archives for one scale (2, 3, 4): HR and LR, training and validation."""
    return [
        RemoteFile(f"{_DIV2K}/DIV2K_{part}.zip", _DIV2K_SUMS[part], unpack=True)
        for split in ("train", "valid")
        for part in (f"{split}_HR", f"{split}_LR_bicubic_X{scale}")
    ]


def fetch(
    url: str,
    destination: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    report: Report = lambda done, total: None,
    pause: float = 1.0,
) -> Path:
    """Download `url` to `destination`, resuming from `DESTINATION.part` if an earlier call left it.

    Without `sha256`, the checksum of the first download is kept in `DESTINATION.sha256`, and later
    calls check against it.

    Args:
      url: http or https.
      destination: the file to write; its folder is created.
      sha256: the expected checksum.
      report: called with the progress.
      pause: seconds to wait before retrying a dropped connection, doubled each time.

    Raises:
      InputError: the server refuses or keeps dropping the connection (the partial file is kept, to
        be resumed); the disk is full; or the checksum is wrong (nothing is kept).
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url!r} is not a URL; give one that begins with http:// or https://")
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
                        "check the URL, or give another mirror with --base_url"
                    ) from error
                if attempt == _TRIES - 1:
                    raise InputError(
                        f"{url}: {getattr(error, 'reason', None) or error}; "
                        "start the same command again to resume"
                    ) from error
                time.sleep(pause * 2**attempt)
        found = _sum(part)
        if expected and found != expected:
            part.unlink()
            destination.unlink(missing_ok=True)  # a correct file would have been returned above
            raise InputError(
                f"{url}: wrong checksum, SHA-256 {found} instead of {expected}; nothing was kept. "
                "Try again, or use another mirror"
            )
        if not expected:
            seen.write_text(f"{found}  {destination.name}\n")
        os.replace(part, destination)
    except OSError as error:
        raise InputError(
            f"cannot write {destination}: {error.strerror or error}; free some space or choose a "
            "folder you may write to, then start the same command again to resume"
        ) from error
    return destination


def extract(archive: str | os.PathLike[str], directory: str | os.PathLike[str]) -> list[Path]:
    """Unpack a .zip or .tar into `directory` and return its top-level entries there.

    A file appears complete or not at all, and none appears unless the whole archive can be read.
    Other files in these folders are kept.

    Raises:
      InputError: the archive is corrupt, holds names that lead out of the folder, or cannot be
        unpacked.
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
            _move(entry, directory / entry.name)
            made.append(directory / entry.name)
        return made
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
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


def _move(source: Path, target: Path) -> None:
    if source.is_dir() and target.is_dir():
        for entry in source.iterdir():
            _move(entry, target / entry.name)
    else:
        os.replace(source, target)


def _continue(url: str, part: Path, report: Report) -> None:
    """Append the missing bytes to `part`. Raises EOFError if the download must be retried."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response: Any = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing left to send: `part` is complete, or of another file
            raise
        total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if total.isdecimal() and int(total) == have:
            return
        part.unlink()
        raise EOFError("the partial file was too long; starting over") from error
    with response:
        if response.status != 206:  # the server ignores ranges and sends the whole file
            have = 0
        elif not (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise EOFError("the server sent a different range than requested")
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
