"""Finding image sets: DIV2K, the benchmarks, any folder, and the built-in photographs."""

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pams_tf.data.images import list_images, read_image
from pams_tf.data.lr_files import find_lr, lr_folders
from pams_tf.data.resize import crop_to_multiple, downscale
from pams_tf.errors import InputError

SCALES = (2, 3, 4)
SPLITS = ("train", "valid")
SAMPLE = Path(__file__).parent / "sample"
SAMPLE_NAME = "sample"
"""The name by which a user selects the built-in photographs."""
# Colourful, detailed, and never trained on; the other photographs are for training.
SAMPLE_VALID = ("astronaut", "chelsea", "coffee")


@dataclasses.dataclass(frozen=True)
class ImagePairs:
    """High-resolution (HR) images with their low-resolution (LR) versions.

    Example:
      >>> from pams_tf.evaluation.benchmark import find_pairs
      >>> pairs = find_pairs("sample", 2)
      >>> lr, hr = pairs.load(0)
      >>> pairs.names[0], lr.shape, hr.shape
      ('astronaut', (256, 256, 3), (512, 512, 3))

    Attributes:
      name: name of the set.
      scale: HR size divided by LR size.
      names: file stems, in order; where two files share a stem, with their suffix: "a_jpg".
      hr: HR files; images are cropped to a multiple of the scale, keeping the top left.
      lr: LR files; None where the LR image is made from the HR image by `downscale`.

    Raises:
      InputError: `load` cannot use a file.

    Source: docs/your_data.md.
    """

    name: str
    scale: int
    names: tuple[str, ...]
    hr: tuple[Path, ...]
    lr: tuple[Path | None, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def lr_found(self) -> int:
        """The number of LR images that are files."""
        return sum(path is not None for path in self.lr)

    @property
    def lr_summary(self) -> str:
        """Where the LR images come from: "LR: 5 found, 0 made by bicubic"."""
        return f"LR: {self.lr_found} found, {len(self) - self.lr_found} made by bicubic"

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Load one pair, uint8 RGB: LR (H, W, 3) and HR (H*scale, W*scale, 3).

        Raises:
          InputError: a file cannot be used (see `read_image`), is smaller than one LR pixel, or
            the two sizes do not match; the message names the files.
        """
        hr_path, lr_path = self.hr[index], self.lr[index]
        hr = crop_to_multiple(read_image(hr_path), self.scale)
        if hr.size == 0:
            raise InputError(
                f"{hr_path}: smaller than {self.scale}x{self.scale} pixels; remove it from the set"
            )
        if lr_path is None:
            return downscale(hr, self.scale), hr
        lr = read_image(lr_path)
        height, width = hr.shape[0] // self.scale, hr.shape[1] // self.scale
        if lr.shape[:2] != (height, width):
            raise InputError(
                f"{lr_path} is {lr.shape[0]}x{lr.shape[1]}, but as the x{self.scale} LR image of "
                f"{hr_path} ({hr.shape[0]}x{hr.shape[1]}) it must be {height}x{width}; remove it "
                "to have it made by bicubic downscaling"
            )
        return lr, hr


def benchmark(directory: str | os.PathLike[str], name: str, scale: int) -> ImagePairs:
    """A benchmark set, with LR images where they exist.

    HR images are DIR/NAME/HR/*, LR images DIR/NAME/LR_bicubic/X4/STEMx4.png or another of the
    common namings, see `lr_files`.

    Raises:
      InputError: no such set (the message lists those that exist), an unsupported scale, or LR
        images that do not fit.
    """
    root = Path(directory)
    if not (root / name / "HR").is_dir():
        sets = _benchmarks(root)
        there = f"there are {', '.join(sets)}" if sets else "it holds no NAME/HR folder"
        raise InputError(f"{root}: no benchmark {name!r} (no {name}/HR folder); {there}")
    return _pairs(name, scale, list_images(root / name / "HR"), lr_folders(root / name, scale))


def div2k(directory: str | os.PathLike[str], scale: int, split: str = "train") -> ImagePairs:
    """A split of DIV2K, with LR images where they exist.

    HR images are DIR/DIV2K_train_HR/0001.png, LR images
    DIR/DIV2K_train_LR_bicubic/X4/0001x4.png or another of the common namings, see `lr_files`.

    Raises:
      InputError: no such folder, an unknown split, an unsupported scale, or LR images that do not
        fit.
    """
    _check_split(split)
    root = Path(directory)
    name = f"DIV2K_{split}"
    lr = lr_folders(root, scale, [f"{name}_LR_bicubic", f"{name}_LR_bicubic_X{{scale}}"])
    return _pairs(name, scale, list_images(root / f"{name}_HR"), lr)


def folder(directory: str | os.PathLike[str], scale: int) -> ImagePairs:
    """All images directly in a folder, as HR images.

    Raises:
      InputError: no such folder, no images in it, or an unsupported scale.
    """
    return _pairs(Path(directory).resolve().name, scale, list_images(directory), [])


def sample(scale: int, split: str = "train") -> ImagePairs:
    """The built-in photographs: astronaut, chelsea and coffee for "valid", the others for "train".

    Raises:
      InputError: an unknown split or an unsupported scale.
    """
    _check_split(split)
    files = [
        path for path in list_images(SAMPLE) if (path.stem in SAMPLE_VALID) == (split == "valid")
    ]
    return _pairs(SAMPLE_NAME, scale, files, [])


def find(directory: str | os.PathLike[str], scale: int) -> ImagePairs:
    """Detect what a folder holds: DIV2K (training images first), a benchmark set, or plain images.

    Raises:
      InputError: none of these, or several benchmark sets (the message lists them).
    """
    root = Path(directory)
    for split in SPLITS:
        if (root / f"DIV2K_{split}_HR").is_dir():
            return div2k(root, scale, split)
    if (root / "HR").is_dir():
        return benchmark(root.resolve().parent, root.resolve().name, scale)
    if sets := _benchmarks(root):
        raise InputError(
            f"{root}: holds the sets {', '.join(sets)}; give the folder of one of them"
        )
    return folder(root, scale)


def find_or_sample(directory: str | os.PathLike[str] | None, scale: int, split: str) -> ImagePairs:
    """The images in a folder (see `find`), or the built-in photographs of `split` if None.

    Raises:
      InputError: see `find` and `sample`.
    """
    return find(directory, scale) if directory else sample(scale, split)


def _benchmarks(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.glob("*/HR")) if root.is_dir() else []


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise InputError(f"split={split!r} is not possible; choose {' or '.join(SPLITS)}")


def _pairs(name: str, scale: int, hr: Sequence[Path], folders: Sequence[Path]) -> ImagePairs:
    if scale not in SCALES:
        raise InputError(
            f"scale={scale!r} is not possible; choose one of {', '.join(map(str, SCALES))}"
        )
    return ImagePairs(name, scale, _names(hr), tuple(hr), tuple(find_lr(hr, folders, scale)))


def _names(files: Sequence[Path]) -> tuple[str, ...]:
    """A name of each file, all distinct even as names of files on any system."""
    counts = Counter(path.stem.casefold() for path in files)
    names: list[str] = []
    taken: set[str] = set()
    for path in files:
        shared = counts[path.stem.casefold()] > 1
        plain = f"{path.stem}_{path.suffix.lstrip('.')}" if shared else path.stem
        name, number = plain, 2
        while name.casefold() in taken:
            name, number = f"{plain}_{number}", number + 1
        taken.add(name.casefold())
        names.append(name)
    return tuple(names)
