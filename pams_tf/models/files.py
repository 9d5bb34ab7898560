"""Loading and saving networks as `.keras` files."""

import os
import re
import tempfile
import warnings
from pathlib import Path
from typing import TypeAlias

import keras
import numpy as np

from pams_tf import locate
from pams_tf.errors import InputError
from pams_tf.files import unwritable
from pams_tf.models.archive import check_archive
from pams_tf.models.foreign import from_keras
from pams_tf.models.network import SuperResolution
from pams_tf.reading import check_finite

Source: TypeAlias = SuperResolution | keras.Model | str | os.PathLike[str]


def load(model: Source, image_range: float = 255.0) -> SuperResolution:
    """Load a Keras network by name.

    Example:
      >>> from pams_tf import models
      >>> models.load("edsr_mobile_x2").described
      'edsr_mobile x2'

    Args:
      model: a `.keras` or `.h5` file, a run folder, the name of float weights in the zoo, or a
        network, which is returned unchanged. Any other Keras model, or a file of one, is taken over
        as `from_keras` does.
      image_range: as in `from_keras`, for such a model.

    Returns:
      A Keras model, float32 (N, H, W, C) in [0, 255] -> (N, s*H, s*W, C).

    Raises:
      InputError: there is no such network, or its file is unreadable or holds something else.

    Source: Keras 3's `.keras` and `.h5` files.
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
        with warnings.catch_warnings():  # what does not fit is an error below
            warnings.filterwarnings("ignore", module="keras|zipfile")
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
        reason = (str(error).strip().splitlines() or ["unreadable"])[0]
        if "Unknown layer" in reason and path.suffix in locate.HDF5_SUFFIXES:
            raise InputError(
                f"{path}: {reason.split('. ')[0]}; an .h5 file keeps layers of Keras only, no "
                "functions of keras.ops: load it where it was made and save it as .keras"
            ) from error
        raise InputError(f"{path}: not a network that Keras reads ({reason})") from error
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

    Example:
      >>> from pams_tf import models
      >>> network = models.build("edsr_nano", 2, blocks=1, features=4)
      >>> models.save(network, "networks/nano.keras")
      >>> models.load("networks/nano.keras").described
      'edsr_nano x2, blocks=1, features=4'

    Args:
      model: a float network or a student; what it was built from is saved with it.
      path: the file; folders that are missing are made.

    Raises:
      InputError: the folder cannot be written or the disk is full.

    Source: Keras 3's `.keras` files.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Keras saves to a path, not to a file object, and the path must end in .keras.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name[:32]}.") as folder:
            model.save(Path(folder) / path.name)
            os.replace(Path(folder) / path.name, path)
    except OSError as error:
        raise unwritable(path, error) from error
