"""A model card: what an app on a device must know beside a .tflite file, in one JSON."""

import base64
import dataclasses
import hashlib
import zlib
from importlib.metadata import version
from typing import Any

import numpy as np

from pams_tf.errors import InputError
from pams_tf.evaluation.interpreter import ImageInterpreter, to_image
from pams_tf.recipe import QuantizationRecipe

FORMAT = "pams_tf model card"
VERSION = 1


@dataclasses.dataclass(frozen=True)
class Description:
    """What a file cannot say about itself.

    Attributes:
      name: what to call it in a list.
      network: the preset, such as "edsr_baseline".
      recipe: how it is quantized; None for a float file.
      made: how its weights and ranges came about, in a sentence a user can judge it by.
      halo: LR pixels that neighbouring tiles share, so that no seam shows.
      quality: measured PSNR and SSIM with the set's name; empty if none was measured.
    """

    name: str
    network: str
    recipe: QuantizationRecipe | None
    made: str
    halo: int
    quality: dict[str, Any] = dataclasses.field(default_factory=dict)


def model_card(
    content: bytes, file: str, about: Description, picture: np.ndarray
) -> dict[str, Any]:
    """The card of a file, with a reference that a device can hold its own output against.

    Args:
      content: the .tflite file.
      file: its name, without a folder.
      about: the rest.
      picture: uint8 (h, w, 3) of the file's own input size: the reference's input.

    Returns:
      Plain JSON types. `reference` holds what went in and what came out of LiteRT on this machine,
      with its default XNNPACK kernels: the tensors' codes of an integer file, image bytes of a
      float file (floats differ in their last bits from device to device), each deflated (zlib)
      and in base64.

    Raises:
      InputError: not an image model of a fixed size, or a picture of another size.
    """
    model = ImageInterpreter(content, num_threads=1)
    if model.fixed_size is None:
        raise InputError(f"{file} leaves its input size open; export it for a fixed one")
    if picture.shape != (*model.fixed_size, 3):
        raise InputError(
            f"the reference picture is {picture.shape}, but {file} takes {(*model.fixed_size, 3)}"
        )
    (height, width), (out_height, out_width) = model.fixed_size, model.output["shape"][1:3]
    scale = int(out_height) // height
    if (out_height, out_width) != (height * scale, width * scale) or scale < 1:
        raise InputError(
            f"{file} turns {height}x{width} into {out_height}x{out_width}, which is no enlargement"
        )
    model.set_image(picture)
    model.invoke()
    dtype = np.dtype(model.output["dtype"])
    reference_type = np.dtype(np.uint8) if dtype == np.float32 else dtype
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": about.name,
        "file": file,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "network": about.network,
        "scale": scale,
        "recipe": about.recipe.to_dict() if about.recipe else None,
        "made": about.made,
        "halo": about.halo,
        "quality": about.quality,
        "input": _tensor(model.input),
        "output": _tensor(model.output),
        "reference": {
            "runtime": f"ai-edge-litert {version('ai-edge-litert')}, XNNPACK",
            "dtype": reference_type.name,
            "input": _packed(_to_type(model.codes(model.input["index"]), reference_type)),
            "output": _packed(_to_type(model.codes(model.output["index"]), reference_type)),
        },
    }


def _tensor(details: dict[str, Any]) -> dict[str, Any]:
    scale, zero_point = details["quantization"]
    return {
        "shape": [int(size) for size in details["shape"]],
        "dtype": np.dtype(details["dtype"]).name,
        "scale": float(scale),
        "zero_point": int(zero_point),
    }


def _to_type(codes: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    return codes if codes.dtype == dtype else to_image(codes)


def _packed(codes: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(codes.tobytes(), 9)).decode()
