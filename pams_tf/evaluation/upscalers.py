"""Everything that enlarges a picture, behind one signature: uint8 (h, w, 3) in, uint8 out."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from pams_tf.errors import InputError
from pams_tf.evaluation.benchmark import Upscaler
from pams_tf.evaluation.interpreter import ImageInterpreter, to_image
from pams_tf.runs import RunFolder


def bicubic(scale: int) -> Upscaler:
    """MATLAB's bicubic enlargement, the yardstick of every paper."""
    from pams_tf.data.resize import upscale

    return lambda image: upscale(image, scale)


def keras_upscaler(model: Any) -> Upscaler:
    """Upscaler of a Keras model that maps float32 (1, h, w, 3) in [0, 255] to (1, h*s, w*s, 3).

    Results are rounded half to even and clipped. One graph serves images of every size.
    """
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)])
    def forward(images: Any) -> Any:
        return tf.cast(model(images, training=False), tf.float32)

    return lambda image: to_image(forward(image[None].astype(np.float32)).numpy()[0])


def tflite_upscaler(
    path_or_bytes: str | os.PathLike[str] | bytes, num_threads: int | None = None
) -> Upscaler:
    """Upscaler of a .tflite file with float32, int8 or uint8 tensors; takes images of any size.

    Args:
      path_or_bytes: the file, or its content.
      num_threads: threads of the kernels; None lets the runtime choose.

    Raises:
      InputError: as `ImageInterpreter`; when called, if the file cannot take the image's size.
    """
    return _upscaler_of(ImageInterpreter(path_or_bytes, num_threads))


def load_upscaler(spec: str | os.PathLike[str], scale: int) -> tuple[Upscaler, str]:
    """The upscaler a user names, and what to call it in a table.

    Args:
      spec: "bicubic", a .tflite file, a .keras file, or a run folder (its `student.keras`, or
        `model.keras` after a float training).
      scale: the factor it must have.

    Returns:
      The upscaler and its label.

    Raises:
      InputError: `spec` is none of these, cannot be loaded, or enlarges by another factor.
    """
    path = model_file(spec)
    if path is None:
        return bicubic(scale), "bicubic"
    label = Path(spec).resolve().name if Path(spec).is_dir() else path.name
    return (_load_tflite if path.suffix == ".tflite" else _load_keras)(path, scale), label


def model_file(spec: str | os.PathLike[str]) -> Path | None:
    """The .tflite or .keras file that a user names by itself or by its run; None for bicubic.

    Raises:
      InputError: `spec` is none of these, or a run without a finished network.
    """
    if str(spec) == "bicubic":
        return None
    path = Path(spec)
    if path.is_dir():
        return RunFolder(path).network()
    if path.suffix in (".tflite", ".keras"):
        return path
    reason = "is of another kind" if path.exists() else "does not exist"
    raise InputError(
        f"the model {str(spec)!r} {reason}; give a run folder, a .keras file, a .tflite file, "
        "or bicubic"
    )


def _upscaler_of(interpreter: ImageInterpreter) -> Upscaler:
    def upscale(image: np.ndarray) -> np.ndarray:
        interpreter.resize(*image.shape[:2])
        interpreter.set_image(image)
        interpreter.invoke()
        return interpreter.image()

    return upscale


def _load_tflite(path: Path, scale: int) -> Upscaler:
    interpreter = ImageInterpreter(path)
    height, width = map(int, interpreter.input["shape"][1:3])
    out_height, out_width = map(int, interpreter.output["shape"][1:3])
    if (out_height, out_width) != (height * scale, width * scale):
        raise InputError(
            f"{path} turns {height}x{width} into {out_height}x{out_width}, which is not x{scale}; "
            "give its own scale, or a file made for this one"
        )
    return _upscaler_of(interpreter)


def _load_keras(path: Path, scale: int) -> Upscaler:
    from pams_tf import models

    model = models.load(path)
    if model.scale != scale:
        raise InputError(
            f"{path} enlarges x{model.scale}, not x{scale}; give --scale {model.scale}, "
            "or a model made for this one"
        )
    return keras_upscaler(model)
