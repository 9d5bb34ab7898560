"""The card of a model file: the JSON beside it, for people and for programs on a device.

All cards have one format: those that `pams-to-tflite` writes, those of the zoo, and those that the
benchmark page reads. Every card has the fields of `model_card`; `quality`, `reference` and fields
that a tool adds (commands, benchmarks, latency) are optional.
"""

import base64
import hashlib
import zlib
from importlib.metadata import version
from typing import Any

import numpy as np

from pams_tf.errors import InputError
from pams_tf.litert import metadata
from pams_tf.litert.file_info import FileInfo, TensorInfo
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert.interpreter import ImageInterpreter, to_image
from pams_tf.litert.receptive_field import receptive_field
from pams_tf.recipe import CARD_FORMAT

VERSION = 1


def model_card(
    content: bytes,
    file: str,
    picture: np.ndarray | None = None,
    expected: np.ndarray | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The card of a .tflite file.

    Args:
      content: the .tflite file.
      file: its name, without a folder.
      picture: uint8 (h, w, 3) of the file's own input size. With it the card gets a `reference`:
        the input and the output of LiteRT on this machine, with its default XNNPACK kernels, to
        which a device can compare its own output. They are the codes of the tensors for an integer
        file, and image bytes for a float file (floats differ in their last bits from device to
        device), each compressed with zlib and encoded in base64.
      expected: uint8 (H, W, 3), the image that the student itself makes of the picture; it becomes
        the reference's output in the place of LiteRT's.
      **more: fields to add or to replace, such as `name`, `made` (a sentence on the origin of
        weights and ranges), `halo` (LR pixels that neighbouring tiles share) or `quality`.

    Returns:
      The card as plain JSON types. Fields that neither the file nor `more` provides are null.

    Raises:
      InputError: the file is not an image model, or there is a picture and the file's input size
        is open or not the picture's.
    """
    info = read_file(content)
    about = metadata.fields(info) or {}
    recipe = about.get("recipe")
    name = file.removesuffix(".tflite")
    card = {
        "format": CARD_FORMAT,
        "version": VERSION,
        "name": name,
        "file": file,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "network": about.get("preset"),
        "scale": _scale(info, about),
        "overrides": about.get("overrides", {}),
        "recipe": recipe,
        "made": f"run {about['run']}" if about.get("run") else "",
        "target": about.get("target", "cpu"),
        "halo": more["halo"] if "halo" in more else _halo(content, info),
        "input": _tensor(info.tensors[info.inputs[0]]),
        "output": _tensor(info.tensors[info.outputs[0]]),
        **more,
    }
    if picture is not None:
        card["reference"] = _reference(content, file, picture, expected)
    return card


def _halo(content: bytes, info: FileInfo) -> int:
    """The receptive field; for a network that sees the whole image, the side of a tile."""
    radius = receptive_field(content).radius
    return max(0, *info.tensors[info.inputs[0]].shape[1:3]) if radius is None else radius


def _reference(
    content: bytes, file: str, picture: np.ndarray, expected: np.ndarray | None
) -> dict[str, Any]:
    model = ImageInterpreter(content, num_threads=1)
    if model.fixed_size is None:
        raise InputError(f"{file} leaves its input size open; export it for a fixed one")
    if picture.shape != (*model.fixed_size, 3):
        raise InputError(
            f"the reference picture is {picture.shape}, but {file} takes {(*model.fixed_size, 3)}"
        )
    model.run(picture)
    dtype = np.dtype(model.output["dtype"])
    dtype = np.dtype(np.uint8) if dtype == np.float32 else dtype
    runtime = f"ai-edge-litert {version('ai-edge-litert')}, XNNPACK"
    output = _to_type(model.codes(model.output["index"]), dtype)
    if expected is not None:
        runtime = "the student, in Keras"
        output = (expected.astype(np.int16) - (128 if dtype == np.int8 else 0)).astype(dtype)
    return {
        "runtime": runtime,
        "dtype": dtype.name,
        "input": _packed(_to_type(model.codes(model.input["index"]), dtype)),
        "output": _packed(output),
    }


def _scale(info: FileInfo, about: dict[str, Any]) -> int:
    if "scale" in about:
        return int(about["scale"])
    source, target = (info.tensors[index].shape for index in (info.inputs[0], info.outputs[0]))
    if len(source) != 4 or len(target) != 4 or min(source[1:3]) < 1 or target[1] % source[1]:
        raise InputError(
            f"the file turns {source} into {target}, which is not an integer upscaling factor"
        )
    return target[1] // source[1]


def _tensor(tensor: TensorInfo) -> dict[str, Any]:
    """A scale of 0 means that the tensor is not quantized."""
    return {
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": float(tensor.scales[0]) if tensor.scales else 0.0,
        "zero_point": tensor.zero_points[0] if tensor.zero_points else 0,
    }


def _to_type(codes: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    return codes if codes.dtype == dtype else to_image(codes)


def _packed(codes: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(codes.tobytes(), 9)).decode()
