"""Evaluates any model on a set of image pairs: PSNR and SSIM of each image, and their means."""

import dataclasses
import math
import os
from pathlib import Path
from typing import Any, cast

import numpy as np

from pams_tf.data import datasets
from pams_tf.data.datasets import ImagePairs
from pams_tf.data.images import write_image
from pams_tf.errors import InputError
from pams_tf.evaluation.metrics import psnr_y, ssim_y
from pams_tf.evaluation.upscaler import Model, Upscaler
from pams_tf.litert.tiling import Upscale
from pams_tf.reporting.progress import tracked


@dataclasses.dataclass(frozen=True)
class BenchmarkResult:
    """PSNR and SSIM of one model on one set.

    Example:
      >>> import pams_tf
      >>> result = pams_tf.evaluate("bicubic", scale=2)
      >>> result.images, round(result.psnr, 2), result.per_image[0]["name"]
      (3, 32.52, 'astronaut')

    Attributes:
      benchmark: name of the set.
      scale: upscaling factor; also the width of the border that is cropped, in pixels.
      images: number of images.
      psnr: mean PSNR on Y over the images, in dB.
      ssim: mean SSIM on Y over the images, up to 1.
      per_image: one dict per image with `name`, `psnr` and `ssim`.
      lr_found: how many LR images were files; the others were made by bicubic.

    Source: `evaluate`.
    """

    benchmark: str
    scale: int
    images: int
    psnr: float
    ssim: float
    per_image: list[dict[str, Any]]
    lr_found: int = 0

    def as_json(self) -> dict[str, Any]:
        """The fields as plain JSON types. An infinite PSNR, which JSON lacks, becomes null."""
        return {
            **dataclasses.asdict(self),
            "psnr": _finite(self.psnr),
            "per_image": [
                {**figures, "psnr": _finite(figures["psnr"])} for figures in self.per_image
            ],
        }


def evaluate(
    model: "Model | Upscale",
    images: ImagePairs | str | os.PathLike[str] = "sample",
    *,
    scale: int | None = None,
    save_images: str | os.PathLike[str] | None = None,
    label: str = "",
    progress: bool = False,
) -> BenchmarkResult:
    """Upscale every image of a set and compare it with its original.

    Images are upscaled in one piece where the model allows it; a file whose constants depend on its
    input size gets tiles of that size, see `litert.upscaler.LiteRTUpscaler`.

    Example:
      >>> import pams_tf
      >>> result = pams_tf.evaluate("edsr_mobile_x2_8bit", "sample")
      >>> result.images, result.scale
      (3, 2)

    Args:
      model: what `Upscaler` takes; or a function from an image, uint8 (h, w, 3), to one of
        (h * scale, w * scale, 3).
      images: "sample" for the three built-in validation photographs; a folder (one benchmark set
        with HR/ in it, DIV2K's layout, or any folder of HR images); or `ImagePairs`.
      scale: the upscaling factor of a function, or the one required of bicubic or of the model;
        None for the model's own.
      save_images: a folder; each result is written there as SET/NAME.png.
      label: name of the model in the progress bar.
      progress: show a progress bar on a terminal.

    Returns:
      PSNR (dB) and SSIM on the Y channel, with `scale` pixels cropped at each border.

    Raises:
      InputError: the model or the set cannot be used, an image is too small, a result has the wrong
        size or type (the message names the image), or a result cannot be written.

    Source: PSNR and SSIM as in Li et al., ECCV 2020, Section 4; see `evaluation.metrics`.
    """
    if not isinstance(images, str | os.PathLike):
        scale = scale or images.scale
    upscale: Any = model
    if not _is_function(model):
        upscale = Upscaler(cast(Model, model), scale=scale, whole=True)
    pairs = find_pairs(images, scale or getattr(upscale, "scale", None))
    if len(pairs) == 0:
        raise InputError(f"benchmark {pairs.name!r} holds no images; check its folder")
    per_image = []
    description = f"{label} on {pairs.name}" if label else pairs.name
    for index in tracked(range(len(pairs)), description, visible=progress):
        name = pairs.names[index]
        low, high = pairs.load(index)
        output = _checked(upscale(low), low, pairs.scale, f"{pairs.name}/{name}")
        try:
            psnr = psnr_y(output, high, pairs.scale)
            ssim = ssim_y(output, high, pairs.scale)
        except InputError as error:
            raise InputError(f"{pairs.name}/{name}: {error}") from error
        per_image.append({"name": name, "psnr": psnr, "ssim": ssim})
        if save_images is not None:
            write_image(Path(save_images) / pairs.name / f"{name}.png", output)
    return BenchmarkResult(
        benchmark=pairs.name,
        scale=pairs.scale,
        images=len(per_image),
        psnr=float(np.mean([figures["psnr"] for figures in per_image])),
        ssim=float(np.mean([figures["ssim"] for figures in per_image])),
        per_image=per_image,
        lr_found=pairs.lr_found,
    )


def find_pairs(images: ImagePairs | str | os.PathLike[str], scale: int | None) -> ImagePairs:
    """The image pairs for `evaluate` and `verify`, from pairs, "sample" or a folder.

    Raises:
      InputError: no such folder, no images in it, or no scale with which to make LR images.
    """
    if not isinstance(images, str | os.PathLike):
        return images
    if scale is None:
        raise InputError("the upscaling factor of a function is not known; give the scale")
    if str(images) == datasets.SAMPLE_NAME:
        return datasets.sample(scale, "valid")
    return datasets.find(images, scale)


def _is_function(model: Any) -> bool:
    """Whether this is an upscaling function and not a Keras model, which is callable too."""
    return callable(model) and not hasattr(model, "layers")


def _checked(output: np.ndarray, low: np.ndarray, scale: int, image: str) -> np.ndarray:
    expected = (low.shape[0] * scale, low.shape[1] * scale, 3)
    if output.shape != expected or output.dtype != np.uint8:
        raise InputError(
            f"{image}: the upscaler returned {output.dtype} {output.shape}, but x{scale} of "
            f"{low.shape} is uint8 {expected}; give a model made for x{scale}"
        )
    return output


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
