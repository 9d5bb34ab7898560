"""Downloading one file: resumable, checksummed, never partial."""

import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
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
