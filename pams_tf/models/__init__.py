"""Which network, and where its quantizers sit."""

import os
import tempfile
from pathlib import Path
from typing import Any

import keras

from pams_tf.errors import InputError
from pams_tf.models.interpolation import start_as_interpolation
from pams_tf.models.network import SuperResolution
from pams_tf.models.registry import PRESETS, receptive_field_radius
from pams_tf.recipe import QuantizationRecipe

__all__ = [
    "PRESETS",
    "SuperResolution",
    "build",
    "load",
    "receptive_field_radius",
    "save",
    "start_as_interpolation",
]


def build(
    name: str, scale: int, recipe: QuantizationRecipe | None = None, **overrides: Any
) -> SuperResolution:
    """Build a network: `build("edsr_baseline", 4, QuantizationRecipe(bits=8), blocks=8)`.

    Args:
      name: a preset, see `PRESETS`.
      scale: 2, 3 or 4.
      recipe: how it is quantized; None for the float network.
      **overrides: `blocks`, `features`, and `res_scale`, `batch_norm`, `direct` (EDSR) or
        `layers`, `growth` (RDN), in the place of the preset's.

    Returns:
      A Keras model, (N, H, W, 3) in [0, 255] -> (N, scale*H, scale*W, 3), freshly initialised.

    Raises:
      InputError: unknown name, scale or override.
    """
    return SuperResolution(name, scale, recipe, overrides)


def load(path: str | os.PathLike[str]) -> SuperResolution:
    """Load a network saved as `.keras`.

    Raises:
      InputError: the file is missing, unreadable, or holds something else; names it.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its parts raise
        reason = str(error).strip().splitlines()
        raise InputError(
            f"{path}: not a network saved by pams_tf ({reason[0] if reason else 'unreadable'})"
        ) from error
    if not isinstance(model, SuperResolution):
        raise InputError(f"{path}: holds a {type(model).__name__}, not a network of pams_tf")
    return model


def save(model: SuperResolution, path: str | os.PathLike[str]) -> None:
    """Save a network as `.keras`; the file appears whole or not at all.

    Raises:
      InputError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Keras writes by name, and only to names that end in .keras.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            model.save(Path(folder) / path.name)
            os.replace(Path(folder) / path.name, path)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; "
            "free some space or choose a folder you may write to"
        ) from error
