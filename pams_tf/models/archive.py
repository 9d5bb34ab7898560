"""Inspection of a `.keras` or `.h5` file before Keras sees it: what loading it would cost."""

import io
import math
import os
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import keras

from pams_tf import locate
from pams_tf.errors import InputError
from pams_tf.reading import MOST_MODEL_BYTES, check_growth, parse_json, read_bytes

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_MOST_CONFIG_BYTES = 16 << 20


def check_archive(path: str | os.PathLike[str]) -> None:
    """Check that a file describes the network whose weights it holds, and no larger one.

    Keras builds whatever the description says, with all its memory, before it looks at the weights;
    and HDF5 gives arrays of any size from a file of a few bytes. Here the description is built
    without memory for its variables.

    Raises:
      InputError: a part is missing or too large; an array in it is compressed, lies in another
        file or is larger than the file; or the network is larger than the weights.
      Exception: whatever zipfile, h5py and Keras raise for a file that is damaged.
    """
    if Path(path).suffix in locate.HDF5_SUFFIXES:
        held = _held(read_bytes(path, MOST_MODEL_BYTES, "a network is smaller"), path)
        # The format before Keras 3, which only loading reads.
        described = _without_memory(lambda: keras.saving.load_model(path, compile=False), path)
    else:
        described, held = _archive(path)
    if described > held:
        raise InputError(
            f"{path}: describes a network with {described:,} bytes of weights and holds {held:,}; "
            "copy or save it again"
        )


def _archive(path: str | os.PathLike[str]) -> tuple[int, int]:
    """The bytes of the weights that a `.keras` file describes, and of those that it holds."""
    check_growth(path)
    with zipfile.ZipFile(path) as file:
        members = {member.filename: member for member in file.infolist()}
        for name, most in ((CONFIG, _MOST_CONFIG_BYTES), (WEIGHTS, MOST_MODEL_BYTES)):
            if name not in members:
                raise InputError(f"{path}: has no {name}; save the network again")
            if members[name].file_size > most:
                raise InputError(f"{path}: its {name} has more than {most:,} bytes")
        config = parse_json(file.read(CONFIG), f"{path}: {CONFIG}")
        held = _held(file.read(WEIGHTS), path)
    if isinstance(config, dict):
        config = {**config, "compile_config": None}  # no optimizer, as when it is loaded
    return _without_memory(lambda: keras.saving.deserialize_keras_object(config), path), held


def _without_memory(make: Callable[[], Any], path: str | os.PathLike[str]) -> int:
    """The bytes of the variables of a network, which is made without memory for them."""

    def described() -> int:
        # Variables get a shape and no memory here. Leaving the scope would give it to them, so it
        # ends with this thread instead, as everything does that Keras keeps for a thread.
        keras.StatelessScope().__enter__()
        return sum(_bytes(variable) for variable in getattr(make(), "variables", ()))

    try:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(described).result()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _held(content: bytes, path: str | os.PathLike[str]) -> int:
    """The bytes of all arrays in an HDF5 file, none of which is larger than the file says."""
    total = 0
    with h5py.File(io.BytesIO(content)) as file:
        for name, dataset in _datasets(file, path):
            if dataset.external or dataset.is_virtual or dataset.nbytes > len(content):
                raise InputError(
                    f"{path}: {name} of {dataset.nbytes:,} bytes is not in the file; copy or save "
                    "it again"
                )
            total += dataset.nbytes
    return total


def _datasets(group: Any, path: str | os.PathLike[str]) -> Any:
    """(name, dataset) below a group, in which every link must lead to something in the file."""
    groups, seen = [group], set()
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise InputError(f"{path}: {group.name}/{name} is a link; save the network again")
            item = group[name]
            if isinstance(item, h5py.Dataset):
                yield item.name, item
            elif isinstance(item, h5py.Group) and item.id not in seen:  # a link may lead back
                seen.add(item.id)
                groups.append(item)


def _bytes(variable: Any) -> int:
    size = keras.backend.standardize_dtype(variable.dtype)
    return math.prod(variable.shape) * {"float64": 8, "int64": 8, "float16": 2, "bfloat16": 2}.get(
        size, 4
    )
