"""Finding image sets: DIV2K, the benchmarks, any folder, and the built-in photographs."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pams_tf.data.images import list_images, read_image
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

    Attributes:
      name: name of the set.
      scale: HR size divided by LR size.
      names: file stems, in order.
      hr: HR files; images are cropped to a multiple of the scale, keeping the top left.
      lr: LR files; None where the LR image is made from the HR image by `downscale`.
    """

    name: str
    scale: int
    names: tuple[str, ...]
    hr: tuple[Path, ...]
    lr: tuple[Path | None, ...]

    def __len__(self) -> int:
        return len(self.names)

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

    HR images are DIR/NAME/HR/*, LR images DIR/NAME/LR_bicubic/X4/STEMx4.png.

    Raises:
      InputError: no such set (the message lists those that exist), or an unsupported scale.
    """
    root = Path(directory)
    if not (root / name / "HR").is_dir():
        sets = _benchmarks(root)
        there = f"there are {', '.join(sets)}" if sets else "it holds no NAME/HR folder"
        raise InputError(f"{root}: no benchmark {name!r} (no {name}/HR folder); {there}")
    lr = root / name / "LR_bicubic" / f"X{scale}"
    return _pairs(name, scale, list_images(root / name / "HR"), lr)


def div2k(directory: str | os.PathLike[str], scale: int, split: str = "train") -> ImagePairs:
    """A split of DIV2K, with LR images where they exist.

    HR images are DIR/DIV2K_train_HR/0001.png, LR images
    DIR/DIV2K_train_LR_bicubic/X4/0001x4.png.

    Raises:
      InputError: no such folder, an unknown split, or an unsupported scale.
    """
    _check_split(split)
    root = Path(directory)
    lr = root / f"DIV2K_{split}_LR_bicubic" / f"X{scale}"
    return _pairs(f"DIV2K_{split}", scale, list_images(root / f"DIV2K_{split}_HR"), lr)


def folder(directory: str | os.PathLike[str], scale: int) -> ImagePairs:
    """All images directly in a folder, as HR images.

    Raises:
      InputError: no such folder, no images in it, or an unsupported scale.
    """
    return _pairs(Path(directory).resolve().name, scale, list_images(directory), None)


def sample(scale: int, split: str = "train") -> ImagePairs:
    """The built-in photographs: astronaut, chelsea and coffee for "valid", the others for "train".

    Raises:
      InputError: an unknown split or an unsupported scale.
    """
    _check_split(split)
    files = [
        path for path in list_images(SAMPLE) if (path.stem in SAMPLE_VALID) == (split == "valid")
    ]
    return _pairs(SAMPLE_NAME, scale, files, None)


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


def _pairs(name: str, scale: int, hr: Sequence[Path], lr_folder: Path | None) -> ImagePairs:
    if scale not in SCALES:
        raise InputError(
            f"scale={scale!r} is not possible; choose one of {', '.join(map(str, SCALES))}"
        )
    lr: list[Path | None] = []
    for path in hr:
        candidate = lr_folder / f"{path.stem}x{scale}.png" if lr_folder else None
        lr.append(candidate if candidate and candidate.is_file() else None)
    return ImagePairs(name, scale, tuple(path.stem for path in hr), tuple(hr), tuple(lr))
