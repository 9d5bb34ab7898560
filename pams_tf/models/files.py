"""Loading and saving networks as `.keras` files."""

import os
import re
import tempfile
from pathlib import Path
from typing import TypeAlias

import keras
import numpy as np

from pams_tf import locate
from pams_tf.errors import InputError
from pams_tf.models.archive import check_archive
from pams_tf.models.foreign import from_keras
from pams_tf.models.network import SuperResolution
from pams_tf.reading import check_finite

Source: TypeAlias = SuperResolution | keras.Model | str | os.PathLike[str]


def load(model: Source, image_range: float = 255.0) -> SuperResolution:
    """Load a Keras network by name.

    Args:
      model: a `.keras` file, a run folder, the name of float weights in the zoo, or a network,
        which is returned unchanged. Any other Keras model, or a file of one, is taken over as
        `from_keras` does.
      image_range: as in `from_keras`, for such a model.

    Raises:
      InputError: there is no such network, or its file is unreadable or holds something else.
    """
    if isinstance(model, SuperResolution):
        return model
    if isinstance(model, keras.Model):
        return from_keras(model, image_range=image_range)
    path = locate.model_file(model)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".tflite":
        raise InputError(f"{path}: is a TensorFlow Lite file; give a Keras network here")
    try:
        check_archive(path)
        network = keras.saving.load_model(path, compile=False)
    except InputError:
        raise
    except Exception as error:  # loading may raise anything
        if "unsafe deserialization" in str(error) or "safe_mode" in str(error):
            raise InputError(
                f"{path}: has a Lambda layer, whose code would be run. Write it with keras.ops or "
                "a layer; or, if you trust the file, load it with keras.saving.load_model(path, "
                "safe_mode=False), and save what pams_tf.from_keras makes of it"
            ) from error
        reason = str(error).strip().splitlines()
        raise InputError(
            f"{path}: not a network saved by pams_tf ({reason[0] if reason else 'unreadable'})"
        ) from error
    if not isinstance(network, SuperResolution):
        # Keras numbers the models that nobody has named.
        unnamed = re.fullmatch(r"(functional|sequential|model)(_\d+)?", network.name)
        name = path.stem if unnamed else None
        network = from_keras(network, image_range=image_range, name=name)
    for variable in network.variables:
        check_finite(np.asarray(variable.value), f"{path}: {variable.path}")
    return network


def save(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Save a network as `.keras`; the file appears complete or not at all.

    Raises:
      InputError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Keras saves to a path, not to a file object, and the path must end in .keras.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            model.save(Path(folder) / path.name)
            os.replace(Path(folder) / path.name, path)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; "
            "free some space or choose a folder you may write to"
        ) from error
