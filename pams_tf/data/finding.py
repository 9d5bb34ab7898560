"""Finding the picture files that a user names: files, folders and patterns."""

import dataclasses
import glob
from collections.abc import Sequence
from pathlib import Path

from pams_tf.data.formats import READABLE, is_picture
from pams_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Found:
    """The pictures that were named.

    Attributes:
      pictures: each file once, with its path relative to the folder, or to the part of the pattern
        before the first wildcard.
      left_out: files beside them that are no pictures by name.
      results: files that were left out because they lie in the folder of the results.
    """

    pictures: list[tuple[Path, Path]]
    left_out: list[Path]
    results: list[Path]


def find_pictures(specs: Sequence[str], out: Path | None = None) -> Found:
    """Find the picture files named by files, folders and glob patterns.

    Args:
      specs: each one a file; a folder, for the images directly in it; or a pattern such as
        "photos/**/*.jpg", for the images among its matches.
      out: the folder of the results. If it lies below a folder or pattern, what is in it is left
        out, so that a second run does not enlarge the results of the first.

    Raises:
      InputError: one of them names no image, or its folder is `out` itself.
    """
    pictures: dict[Path, Path] = {}
    left_out: dict[Path, None] = {}
    results: dict[Path, None] = {}
    for spec in specs:
        path = Path(spec)
        if not path.is_dir() and (path.exists() or not glob.has_magic(spec)):
            if not path.exists() and not path.is_symlink():
                raise InputError(f"{spec}: no such file or folder")
            pictures.setdefault(path, Path(path.name))
            continue
        root = path if path.is_dir() else _root(path)
        if out is not None and out.resolve() == root.resolve():
            raise InputError(
                f"{out} is the folder of the inputs, where results would be inputs of the next "
                "run; choose another --out"
            )
        names = path.iterdir() if path.is_dir() else map(Path, glob.glob(spec, recursive=True))
        fit = False
        for file in sorted(names):
            if file.is_dir() or file.name.startswith("."):
                continue
            if out is not None and out.resolve() in file.resolve().parents:
                results[file] = None
            elif is_picture(file):
                pictures.setdefault(file, file.relative_to(root))
                fit = True
            else:
                left_out[file] = None
        if not fit:
            what = "no images in it" if path.is_dir() else "matches no picture"
            raise InputError(f"{spec}: {what} ({', '.join(READABLE)})")
    beside = [file for file in left_out if file not in pictures]
    return Found(list(pictures.items()), beside, list(results))


def _root(pattern: Path) -> Path:
    """The leading folders of a pattern, up to the first part with a wildcard."""
    parts = list(pattern.parts[:-1])
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:fixed])
