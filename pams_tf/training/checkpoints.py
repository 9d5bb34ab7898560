"""Checkpoints: one file each, written atomically."""

import contextlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pams_tf.errors import InputError
from pams_tf.files import atomic_write
from pams_tf.reading import check_finite, check_growth, parse_json

Variables = Mapping[str, Sequence[keras.Variable]]
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


class DamagedError(InputError):
    """A checkpoint that cannot be read."""


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
        arrays = {
            key: keras.ops.convert_to_numpy(variable.value)
            for key, variable in self._variables.items()
        }
        broken = [key for key, array in arrays.items() if not np.isfinite(array).all()]
        if broken:
            raise InputError(
                f"{path}: not written because {broken[0]} and {len(broken) - 1} other variables "
                "are not finite; the training has diverged, lower the learning rate"
            )
        with atomic_write(path) as file:
            contents: dict[str, Any] = {"state": np.array(json.dumps(dict(state))), **arrays}
            np.savez(file, **contents)

    def restore(self, path: Path, last_step: int | None = None) -> dict[str, Any]:
        """Set all variables from `path` and return its `state`.

        Raises:
          DamagedError: the file or its state cannot be read, or it is from after `last_step`.
          InputError: the file belongs to another network. No variable is changed in either case.
        """
        with _readable(path) as file:
            # NumPy before 2.2 takes savez's option allow_pickle, once given here, for an array.
            arrays = {key: file[key] for key in file.files if key != "allow_pickle"}
            state = _state(arrays.pop("state"))
            for key, array in arrays.items():
                check_finite(array, f"its {key}")
            if last_step is not None and state["step"] > last_step:
                raise ValueError(f"its step is {state['step']}")
        differing = sorted(set(arrays) ^ set(self._variables)) or sorted(
            key for key, v in self._variables.items() if not _fits(arrays[key], v)
        )
        if differing:
            raise InputError(
                f"{path}: a checkpoint of another network, or of a run with other averages; "
                f"{differing[0]} and {len(differing) - 1} other variables do not match. Use "
                "another run name"
            )
        for key, variable in self._variables.items():
            variable.assign(arrays[key])
        return state


def saved_state(path: Path) -> dict[str, Any]:
    """The `state` of a checkpoint, without its variables: step, validation PSNR, best so far.

    Raises:
      DamagedError: the file or its state cannot be read.
    """
    with _readable(path) as file:
        return _state(file["state"])


def _state(text: np.ndarray) -> dict[str, Any]:
    state = parse_json(str(text), "its state")
    if not isinstance(state, dict):
        raise ValueError(f"its state is {str(text)[:40]}")
    for key in ("step", "best_step"):
        if type(state.get(key)) is not int or state[key] < 0:
            raise ValueError(f"its {key} is {state.get(key)!r}")
    for key in ("psnr", "best_psnr"):
        if type(state.get(key)) not in (int, float):
            raise ValueError(f"its {key} is {state.get(key)!r}")
    return state


def _fits(array: np.ndarray, variable: keras.Variable) -> bool:
    return array.shape == tuple(variable.shape) and array.dtype.kind in "biuf"


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[Any]:
    try:
        check_growth(path)
        with np.load(path, allow_pickle=False) as file:
            yield file
    except _UNREADABLE as error:
        raise DamagedError(f"{path}: not a readable checkpoint ({error})") from error
