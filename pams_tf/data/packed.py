"""The image pairs of a set, decoded once into two flat, memory-mapped files.

Decoding a PNG for every crop would be many times slower than a training step on a GPU.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from pams_tf.data.datasets import ImagePairs
from pams_tf.data.graphics import Graphics
from pams_tf.data.opening import picture_size
from pams_tf.errors import InputError
from pams_tf.reading import read_json
from pams_tf.reporting.progress import tracked

_FORMAT = 1  # part of the cache key, so that a new layout ignores old caches
_QUICK = 32 << 20  # sets with fewer bytes of image files are decoded without a progress bar
_DAY = 24 * 3600


@dataclasses.dataclass(frozen=True)
class PackedPairs:
    """Image pairs as views into memory-mapped files.

    Attributes:
      scale: HR size divided by LR size.
      sources: the HR files, for error messages.
      shapes: LR (height, width) of each pair.
      graphics: drawn pictures that take the place of some crops; None for photographs alone.
    """

    scale: int
    sources: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]
    _lr: tuple[np.ndarray, ...]
    _hr: tuple[np.ndarray, ...]
    graphics: Graphics | None = None

    def __len__(self) -> int:
        return len(self.shapes)

    def lr(self, index: int) -> np.ndarray:
        """uint8 (H, W, 3)."""
        return self._lr[index]

    def hr(self, index: int) -> np.ndarray:
        """uint8 (H*scale, W*scale, 3)."""
        return self._hr[index]

    def check_patch(self, patch_size: int) -> None:
        """Check that a patch of `patch_size` LR pixels fits into every image.

        Raises:
          InputError: it does not; the message names the smallest image.
        """
        smallest = min(range(len(self)), key=lambda index: min(self.shapes[index]))
        height, width = self.shapes[smallest]
        if min(height, width) < patch_size:
            raise InputError(
                f"{self.sources[smallest]}: {height * self.scale}x{width * self.scale} pixels, "
                f"smaller than the crop of {patch_size * self.scale}; remove it or give a "
                f"--patch_size of at most {min(height, width)}"
            )


def pack(pairs: ImagePairs, cache_dir: str | os.PathLike[str] | None = None) -> PackedPairs:
    """Decode all pairs into the cache, or find them there.

    The cache identifies files by path, size and modification time, so a set with a changed image
    is packed again. An interrupted call leaves nothing that could be mistaken for a complete pack.

    Args:
      cache_dir: the cache folder, by default `cache_folder()`.

    Raises:
      InputError: an image cannot be used, or the cache cannot be written.
    """
    root = Path(cache_dir or cache_folder())
    target = _target(pairs, root)
    if _shapes(target, pairs.scale) is None:
        _write(pairs, root, target)
    return _open(pairs, target)


def cache_folder() -> Path:
    """The folder for packs: $PAMS_TF_CACHE, or ~/.cache/pams_tf.

    A user without a home directory, as in a container, has one for temporary files.
    """
    if chosen := os.environ.get("PAMS_TF_CACHE"):
        return Path(chosen)
    try:
        return Path.home() / ".cache/pams_tf"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"pams_tf_cache_{os.getuid()}"


def missing_bytes(pairs: ImagePairs) -> int:
    """Number of bytes that `pack` would write for these pairs; 0 if they are in the cache.

    Only the headers of the images are read.

    Raises:
      InputError: an image cannot be read.
    """
    if _shapes(_target(pairs, cache_folder()), pairs.scale) is not None:
        return 0
    total = 0
    for path in pairs.hr:
        height, width = (side // pairs.scale for side in picture_size(path))
        total += 3 * height * width * (1 + pairs.scale**2)
    return total


def _target(pairs: ImagePairs, root: Path) -> Path:
    return root / f"{pairs.name}_x{pairs.scale}_{_key(pairs)}"


def _key(pairs: ImagePairs) -> str:
    digest = hashlib.sha256(f"{_FORMAT} {pairs.scale}".encode())
    for path in (*pairs.hr, *pairs.lr):
        if path is not None:
            try:
                stat = path.stat()
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror})") from error
            digest.update(f"\n{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode())
        else:
            digest.update(b"\n-")
    return digest.hexdigest()[:16]


def _write(pairs: ImagePairs, root: Path, target: Path) -> None:
    folder = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        _clear(root, target)
        folder = Path(tempfile.mkdtemp(dir=root, prefix=f".{target.name}."))
        shapes = []
        with (folder / "lr.bin").open("wb") as lr_file, (folder / "hr.bin").open("wb") as hr_file:
            long = sum(path.stat().st_size for path in pairs.hr) >= _QUICK
            for index in tracked(range(len(pairs)), f"decoding {pairs.name}", visible=long):
                lr, hr = pairs.load(index)
                lr_file.write(lr.tobytes())
                hr_file.write(hr.tobytes())
                shapes.append(lr.shape[:2])
        (folder / "index.json").write_text(json.dumps(shapes))
        try:
            os.replace(folder, target)
            folder = None
        except OSError:
            # Another process finished first; its pack is as good as ours.
            if _shapes(target, pairs.scale) is None:
                raise
    except OSError as error:
        raise InputError(
            f"cannot write the image cache {target}: {error.strerror or error}; free some space "
            "or set PAMS_TF_CACHE to another folder"
        ) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _clear(root: Path, target: Path) -> None:
    """Remove a damaged pack, and old temporary folders of processes that were killed."""
    if target.is_dir():
        shutil.rmtree(target)
    for left in root.glob(f".{target.name}.*"):
        if time.time() - left.stat().st_mtime > _DAY:
            shutil.rmtree(left, ignore_errors=True)


def _shapes(target: Path, scale: int) -> list[tuple[int, int]] | None:
    """LR (height, width) of each pair, or None if there is no complete pack."""
    try:
        index = read_json(target / "index.json")
        size = sum(height * width * 3 for height, width in index)
        whole = (target / "lr.bin").stat().st_size == size
        whole &= (target / "hr.bin").stat().st_size == size * scale**2
    except (OSError, ValueError, TypeError, OverflowError):
        return None
    return [(height, width) for height, width in index] if whole else None


def _open(pairs: ImagePairs, target: Path) -> PackedPairs:
    shapes = _shapes(target, pairs.scale)
    if shapes is None:
        raise InputError(f"{target}: the image cache has just been damaged; start again")
    return PackedPairs(
        scale=pairs.scale,
        sources=tuple(map(str, pairs.hr)),
        shapes=tuple(shapes),
        _lr=_views(target / "lr.bin", shapes, 1),
        _hr=_views(target / "hr.bin", shapes, pairs.scale),
    )


def _views(path: Path, shapes: list[tuple[int, int]], scale: int) -> tuple[np.ndarray, ...]:
    flat = np.memmap(path, np.uint8, mode="r")
    views, start = [], 0
    for height, width in shapes:
        shape = (height * scale, width * scale, 3)
        end = start + int(np.prod(shape))
        views.append(flat[start:end].reshape(shape))
        start = end
    return tuple(views)
