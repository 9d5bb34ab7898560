"""Networks as `.keras` files."""

import os
import tempfile
from pathlib import Path
from typing import TypeAlias

import keras

from pams_tf import locate
from pams_tf.errors import InputError
from pams_tf.models.network import SuperResolution

Source: TypeAlias = SuperResolution | str | os.PathLike[str]


def load(model: Source) -> SuperResolution:
    """The Keras network that a user names.

    Args:
      model: a `.keras` file, a run folder, the name of float weights in the zoo, or a network,
        which is returned as it is.

    Raises:
      InputError: there is no such network, or its file is unreadable or holds something else.
    """
    if isinstance(model, SuperResolution):
        return model
    path = locate.model_file(model)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".tflite":
        raise InputError(f"{path}: a TensorFlow Lite file; a Keras network is wanted here")
    try:
        network = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its parts raise
        reason = str(error).strip().splitlines()
        raise InputError(
            f"{path}: not a network saved by pams_tf ({reason[0] if reason else 'unreadable'})"
        ) from error
    if not isinstance(network, SuperResolution):
        raise InputError(f"{path}: holds a {type(network).__name__}, not a network of pams_tf")
    return network


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
