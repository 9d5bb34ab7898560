"""Finding the LR files that belong to HR files, by the namings that data sets use."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from pams_tf.data.formats import is_picture
from pams_tf.errors import InputError

# Of the folders with LR images in a set, where "X4" stands for the factor.
_FOLDERS = ("LR_bicubic", "LR", "LRbicx{scale}", "LR_bicubicx{scale}", "LR_bicubic_X{scale}")
_FACTORS = ("X{scale}", "x{scale}", "{scale}", "")


def find_lr(hr: Sequence[Path], folders: Sequence[Path], scale: int) -> list[Path | None]:
    """The LR file of each HR file, or None where there is none.

    Accepted are STEMx4.png, STEM.png, STEM_x4.png, STEM_LR.png, STEM_LRx4.png, STEM_bicLRx4.png,
    STEM_LRBI_x4.png, and STEM_LR.png beside STEM_HR.png, in any format and in capitals too.

    Args:
      hr: the HR files.
      folders: where LR files may be; the first that holds pictures of this scale counts.
      scale: HR size divided by LR size.

    Raises:
      InputError: a folder of LR pictures in which nothing fits, or a file that fits two HR files,
        or two files that fit one; the message names them.
    """
    for folder in folders:
        files = [path for path in _pictures(folder) if not _other_scale(path.stem, scale)]
        if files:
            return _matched(hr, files, folder, scale)
    return [None] * len(hr)


def lr_folders(root: Path, scale: int, names: Sequence[str] = _FOLDERS) -> list[Path]:
    """The folders below a set's in which LR images of this scale may lie, the likeliest first."""
    below = [name.format(scale=scale) for name in names]
    return [root / name / factor.format(scale=scale) for factor in _FACTORS for name in below]


def _matched(
    hr: Sequence[Path], files: Sequence[Path], folder: Path, scale: int
) -> list[Path | None]:
    by_stem: dict[str, list[Path]] = {}
    for file in files:
        by_stem.setdefault(file.stem.casefold(), []).append(file)
    matches: list[Path | None] = []
    owners: dict[Path, Path] = {}
    for path in hr:
        fitting = [file for name in _names(path.stem, scale) for file in by_stem.get(name, [])]
        if len(fitting) > 1:
            raise InputError(
                f"{path}: {' and '.join(map(str, fitting))} could both be its LR image; keep one"
            )
        match = fitting[0] if fitting else None
        if match is not None and match in owners:
            raise InputError(
                f"{match}: could be the LR image of {owners[match]} and of {path}; rename one"
            )
        if match is not None:
            owners[match] = path
        matches.append(match)
    if not owners:
        stem = hr[0].stem
        raise InputError(
            f"{folder}: none of its {len(files)} pictures fits an HR image; name them like "
            f"{stem}x{scale}.png or {hr[0].name}, or remove the folder to have LR images made by "
            "bicubic"
        )
    return matches


def _names(stem: str, scale: int) -> list[str]:
    """The stems that the LR file of an HR file may have, casefolded, without repetition."""
    plain = re.sub(r"[_-]?HR$", "", stem, flags=re.IGNORECASE)
    endings = (
        *("", "x{0}", "_x{0}", "-x{0}", "_LR", "_LRx{0}", "_LR_x{0}", "_bicLRx{0}"),
        *("_LRBI_x{0}", "_LRBIx{0}", "_bicubic_x{0}"),
    )
    found = [base + ending.format(scale) for base in (stem, plain) for ending in endings]
    return list(dict.fromkeys(name.casefold() for name in found))


def _other_scale(stem: str, scale: int) -> bool:
    """Whether a name says that its picture is of another scale."""
    factor = re.search(r"x(\d)$", stem, flags=re.IGNORECASE)
    return factor is not None and int(factor[1]) != scale


def _pictures(folder: Path) -> list[Path]:
    if not os.path.isdir(folder):
        return []
    return sorted(path for path in folder.iterdir() if is_picture(path) and path.is_file())
