"""Which file a user means by the name of a model."""

import os
from pathlib import Path

from pams_tf import zoo
from pams_tf.errors import InputError
from pams_tf.runs import RunFolder

BICUBIC = "bicubic"
HDF5_SUFFIXES = (".h5", ".hdf5")
"""Of Keras before version 3, which reads them still."""
KERAS_SUFFIXES = (".keras", *HDF5_SUFFIXES)
SUFFIXES = (*KERAS_SUFFIXES, ".tflite")


def model_file(model: str | os.PathLike[str]) -> Path:
    """The Keras or `.tflite` file behind a name; the file need not be readable.

    Args:
      model: one of these; the first that exists counts.
        - a `.keras`, `.h5` or `.tflite` file;
        - a run folder: its `student.keras`, or `model.keras` after float training;
        - the name of a network in the zoo: "edsr_mobile_x2" for its float weights,
          "edsr_mobile_x2_8bit" for its integer file.

    Raises:
      InputError: the name is none of these, or a run without a finished network.
    """
    path = Path(model)
    if (path / "saved_model.pb").is_file():
        raise InputError(
            f"{path}: a SavedModel keeps no layers; save the network as .keras where it was made"
        )
    if path.is_dir():
        return RunFolder(path).network()
    if path.suffix in SUFFIXES:
        return path
    if str(model) in zoo.names():
        return zoo.weights(str(model))
    if str(model) in zoo.integer_names():
        return zoo.FOLDER / f"{model}.tflite"
    reason = "is of another kind" if path.exists() else "does not exist"
    raise InputError(
        f"the model {str(model)!r} {reason}; give a .keras or .tflite file, a run folder, or a "
        f"name in the zoo ({', '.join(zoo.names())})"
    )
