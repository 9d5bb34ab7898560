"""Archives as a download may be: links, devices, names that lead out, bombs, damage."""

import io
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from damage import damaged

SHARE = 500
NAMES = (
    "HR/a.png", "HR/b.png", "HR", "HR/", "./HR/a.png", "../up.png", "../../up.png", "/tmp/up.png",
    "a/../../up", "a//b", "..", ".", "", "x" * 300, "d/" * 200 + "f", "nul\0byte", "é漢", "C:\\x",
    "\x1b[31mred", "link/inside.png", "link", "HR/a.png/below", "\udcfc", "new\nline",
)  # fmt: skip
TYPES = (
    tarfile.REGTYPE, tarfile.REGTYPE, tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE,
    tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.GNUTYPE_SPARSE,
    b"Z",
)  # fmt: skip


def prepare(folder: Path) -> None:
    """Nothing: every archive is made."""


def make(rng: np.random.Generator, originals: Path) -> Callable[[], int]:
    from pams_tf.data.archives import extract
    from pams_tf.errors import InputError

    sound = rng.random() < 0.3
    suffix = str(rng.choice(["zip", "tar", "tar.gz", "tgz", "tar.xz", "tar.bz2"]))
    content = _zip(rng, sound) if suffix == "zip" else _tar(rng, suffix, sound)
    if rng.random() < 0.4:
        content = damaged(rng, content)
    archive = Path(f"sets.{suffix}")
    archive.write_bytes(content)
    Path("up.png").write_bytes(b"precious")

    def run() -> int:
        try:
            extract(archive, "out")
        except InputError as error:
            print(error, file=sys.stderr)
            return 1
        return 0

    return run


def check(folder: Path, status: int) -> None:
    """There are files, and nothing but files and folders."""
    made = list((folder / "out").rglob("*"))
    assert status or any(path.is_file() for path in made)
    assert not any(path.is_symlink() for path in made)
    assert all(path.is_file() or path.is_dir() for path in made)


def _names(rng: np.random.Generator, sound: bool) -> list[str]:
    count = int(rng.integers(1 if sound else 0, 6))
    if sound:
        return [f"HR/{index}.png" for index in range(count)]
    return [str(name) for name in rng.choice(NAMES, count)]


def _content(rng: np.random.Generator) -> bytes:
    size = int(2 ** rng.uniform(0, 12))
    if rng.random() < 0.02:
        return bytes(size << 16)  # up to 256 MB that compress to nothing
    return rng.integers(0, 256, size, np.uint8).tobytes()


def _zip(rng: np.random.Generator, sound: bool) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in _names(rng, sound):
            member = zipfile.ZipInfo(name.encode(errors="replace").decode().replace("\0", "?"))
            if not sound:
                member.external_attr = int(rng.integers(0, 2**32))
            archive.writestr(member, _content(rng))
    return buffer.getvalue()


def _tar(rng: np.random.Generator, suffix: str, sound: bool) -> bytes:
    buffer = io.BytesIO()
    compression = {"tar": "w"}.get(suffix, f"w:{suffix.removeprefix('tar.').replace('tgz', 'gz')}")
    form = (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)[int(rng.integers(2))]
    with tarfile.open(fileobj=buffer, mode=compression, format=form) as archive:
        for name in _names(rng, sound):
            entry = tarfile.TarInfo(name.replace("\0", "?"))
            content = _content(rng)
            entry.size = len(content)
            if not sound:
                entry.type = TYPES[int(rng.integers(len(TYPES)))]
                entry.linkname = str(rng.choice(NAMES)).replace("\0", "?")
                if rng.random() < 0.1:
                    entry.size = int(rng.choice([0, 2**33, 2**40]))
                    entry.mode = int(rng.integers(2**15))
            given = len(content) >= entry.size  # else the size is a lie
            archive.addfile(entry, io.BytesIO(content) if given else None)
    return buffer.getvalue()
