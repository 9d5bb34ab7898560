"""Any upscaler on any set of image pairs: one pair of figures an image, their means for the set."""

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pams_tf.errors import InputError
from pams_tf.evaluation.metrics import psnr_y, ssim_y

if TYPE_CHECKING:
    from pams_tf.data.datasets import ImagePairs

Upscaler = Callable[[np.ndarray], np.ndarray]
"""uint8 RGB (h, w, 3) -> uint8 RGB (h * scale, w * scale, 3)."""


@dataclasses.dataclass(frozen=True)
class BenchmarkResult:
    """Figures of one upscaler on one benchmark.

    Attributes:
      benchmark: name of the set.
      scale: factor of enlargement; also the border that is cut.
      images: how many.
      psnr: mean over the images of each image's PSNR on Y, dB.
      ssim: mean over the images of each image's SSIM on Y.
      per_image: for each image a dict of `name`, `psnr`, `ssim`.
    """

    benchmark: str
    scale: int
    images: int
    psnr: float
    ssim: float
    per_image: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """The fields as plain JSON. An infinite PSNR, which JSON cannot write, becomes null."""
        return {
            "benchmark": self.benchmark,
            "scale": self.scale,
            "images": self.images,
            "psnr": _finite(self.psnr),
            "ssim": self.ssim,
            "per_image": [
                {**figures, "psnr": _finite(figures["psnr"])} for figures in self.per_image
            ],
        }


def evaluate(
    upscaler: Upscaler,
    pairs: "ImagePairs",
    *,
    save_images: str | os.PathLike[str] | None = None,
    label: str = "",
    progress: bool = False,
) -> BenchmarkResult:
    """Enlarge every image of `pairs` and compare it with its original.

    Args:
      upscaler: uint8 (h, w, 3) -> uint8 (h * scale, w * scale, 3).
      pairs: the benchmark.
      save_images: a folder; each result is written there as BENCHMARK/NAME.png.
      label: what the progress bar calls the upscaler.
      progress: show a bar on a terminal; it goes away when done.

    Raises:
      InputError: the benchmark is empty, an image is too small, a result has the wrong size or
        type (the message names the image), or a picture cannot be written.
    """
    if len(pairs) == 0:
        raise InputError(f"benchmark {pairs.name!r} holds no images; check its folder")
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    per_image = []
    console = Console(stderr=True)
    visible = progress and console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not visible) as bar:
        description = f"{label} on {pairs.name}" if label else pairs.name
        for index in bar.track(range(len(pairs)), description=description):
            name = pairs.names[index]
            low, high = pairs.load(index)
            output = _checked(upscaler(low), low, pairs.scale, f"{pairs.name}/{name}")
            try:
                psnr = psnr_y(output, high, pairs.scale)
                ssim = ssim_y(output, high, pairs.scale)
            except InputError as error:
                raise InputError(f"{pairs.name}/{name}: {error}") from error
            per_image.append({"name": name, "psnr": psnr, "ssim": ssim})
            if save_images is not None:
                _save(Path(save_images) / pairs.name / f"{name}.png", output)
    return BenchmarkResult(
        benchmark=pairs.name,
        scale=pairs.scale,
        images=len(per_image),
        psnr=float(np.mean([figures["psnr"] for figures in per_image])),
        ssim=float(np.mean([figures["ssim"] for figures in per_image])),
        per_image=per_image,
    )


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on stdout: the first column to the left, figures to the right.

    Raises:
      InputError: a row has not as many cells as there are columns.
    """
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        if len(row) != len(columns):
            raise InputError(f"the row {list(row)} needs {len(columns)} cells, one a column")
        table.add_row(*map(str, row))
    # Labels are file names; brackets in them are no markup.
    Console(markup=False, highlight=False).print(table)


def _checked(output: np.ndarray, low: np.ndarray, scale: int, image: str) -> np.ndarray:
    expected = (low.shape[0] * scale, low.shape[1] * scale, 3)
    if output.shape != expected or output.dtype != np.uint8:
        raise InputError(
            f"{image}: the upscaler made {output.dtype} {output.shape}, but x{scale} of "
            f"{low.shape} is uint8 {expected}; give a model made for x{scale}"
        )
    return output


def _save(path: Path, image: np.ndarray) -> None:
    from pams_tf.data.images import write_image

    write_image(path, image)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
