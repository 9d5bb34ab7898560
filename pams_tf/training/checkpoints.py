"""Checkpoints: one file each, written atomically."""

import contextlib
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pams_tf.errors import InputError
from pams_tf.files import atomic_write

Variables = Mapping[str, Sequence[keras.Variable]]


class Checkpoints:
    """Saves and restores a set of variables, one .npz file per checkpoint.

    A file holds every variable that the next step depends on, under "group/index/path", and a
    small JSON object with the state of the run.

    Args:
      variables: the variables by group, e.g. {"model": [...], "optimizer": [...]}.
    """

    def __init__(self, variables: Variables) -> None:
        self._variables = {
            f"{group}/{index:04d}/{variable.path}": variable
            for group, members in variables.items()
            for index, variable in enumerate(members)
        }

    def save(self, path: Path, state: Mapping[str, Any]) -> None:
        """Write all variables and `state` (JSON types) to `path`, atomically.

        Raises:
          InputError: a variable is not finite (nothing is written), or the file cannot be
            written; the old file is unchanged either way.
        """
        arrays = {key: np.asarray(variable.value) for key, variable in self._variables.items()}
        broken = [key for key, array in arrays.items() if not np.isfinite(array).all()]
        if broken:
            raise InputError(
                f"{path}: not written because {broken[0]} and {len(broken) - 1} other variables "
                "are not finite; the training has diverged, lower the learning rate"
            )
        with atomic_write(path) as file:
            np.savez(file, allow_pickle=False, state=np.array(json.dumps(dict(state))), **arrays)

    def restore(self, path: Path) -> dict[str, Any]:
        """Set all variables from `path` and return its `state`.

        Raises:
          InputError: the file cannot be read, or belongs to another network; no variable is
            changed.
        """
        with _readable(path) as file:
            arrays = {key: file[key] for key in file.files}
            state = json.loads(str(arrays.pop("state")))
        differing = sorted(set(arrays) ^ set(self._variables)) or sorted(
            key for key, v in self._variables.items() if arrays[key].shape != tuple(v.shape)
        )
        if differing:
            raise InputError(
                f"{path}: a checkpoint of another network; {differing[0]} and "
                f"{len(differing) - 1} other variables do not match. Use another run name"
            )
        for key, variable in self._variables.items():
            variable.assign(arrays[key])
        return state


def saved_state(path: Path) -> dict[str, Any]:
    """The `state` of a checkpoint, without its variables: step, validation PSNR, best so far.

    Raises:
      InputError: the file cannot be read.
    """
    with _readable(path) as file:
        return json.loads(str(file["state"]))


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            yield file
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable checkpoint ({error})") from error
