"""Reading weights from `.pth`, `.safetensors` and `.npz` files; nothing in them is executed."""

import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from pams_tf.errors import InputError
from pams_tf.models.layouts.layout import listed, printable
from pams_tf.models.layouts.pickles import foreign_names
from pams_tf.reading import check_growth, read_npz

SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".npz")

_WRAPPINGS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net", "generator")
"""Keys under which training scripts save a state_dict, the preferred ones first."""
_PREFIXES = ("module.", "model.", "_orig_mod.", "net.", "generator.")
"""What DataParallel, Lightning, torch.compile and others put before every name."""


def read_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The weights in a file, as arrays of float32 by their PyTorch names.

    Wrappings (`params_ema`, `params`, `state_dict`, ...) and prefixes that all names share
    (`module.`, `model.`, ...) are taken off.

    Args:
      path: a `.pth` or `.pt` file (needs the extra `torch-weights`; read with `weights_only=True`,
        after a look at what it would import), `.safetensors` or `.npz`.

    Raises:
      InputError: there is no such file; it is damaged, holds no state_dict or other objects than
        tensors; PyTorch is needed and not installed; a weight is not a finite number.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        state: Any = _read_safetensors(path)
    elif path.suffix == ".npz":
        state = read_npz(path)
    elif path.suffix in SUFFIXES:
        state = _read_torch(path)
    else:
        raise InputError(f"{path}: weights are read from files that end in {', '.join(SUFFIXES)}")
    tensors = {
        name: _float32(path, name, array)
        for name, array in _state_dict(path, state).items()
        if not name.endswith("num_batches_tracked")  # PyTorch's own counter
    }
    infinite = [name for name, array in tensors.items() if not np.isfinite(array).all()]
    if infinite:
        raise InputError(f"{path}: not all weights are finite numbers: {listed(infinite, 6)}")
    return tensors


def _float32(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    if np.iscomplexobj(array):
        raise InputError(f"{path}: {printable(name)} holds complex numbers")
    if np.asarray(array).dtype.kind in "mMOSU":  # NumPy would make numbers of dates and texts
        raise InputError(f"{path}: {printable(name)} holds no numbers")
    try:
        with np.errstate(over="ignore"):  # what overflows is reported as not finite
            return np.asarray(array).astype(np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {printable(name)} holds no numbers") from error


def _state_dict(path: Path, state: Any) -> dict[str, Any]:
    """The mapping from names to arrays, without what is wrapped around it."""
    for key in _WRAPPINGS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            return _state_dict(path, state[key])
    if not isinstance(state, Mapping) or not state:
        raise InputError(f"{path}: holds no state_dict (a mapping from names to tensors)")
    others = [name for name, value in state.items() if not hasattr(value, "shape")]
    if others:
        raise InputError(
            f"{path}: holds no state_dict (a mapping from names to tensors); "
            f"these are no tensors: {listed(others, 6)}"
        )
    tensors = {str(name): value for name, value in state.items()}
    prefixes = (*_PREFIXES, *(f"{key}." for key in _WRAPPINGS))  # the latter in flat files
    while prefix := next((p for p in prefixes if all(n.startswith(p) for n in tensors)), ""):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a readable .safetensors file") from error


def _read_torch(path: Path) -> Any:
    if zipfile.is_zipfile(path):
        check_growth(path)
    if names := foreign_names(path):
        whole = any(name.startswith("torch.nn.modules.") for name in names)
        raise InputError(
            f"{path}: holds {'a whole pickled model' if whole else 'Python objects'} "
            f"({listed(names, 4)}), and opening it would run code of the file; where it was made, "
            "save the weights alone: torch.save(model.state_dict(), 'weights.pth')"
        )
    try:
        import torch
    except ImportError:
        raise InputError(
            f"{path}: reading {path.suffix} files needs PyTorch: pip install "
            "'pams_tf[torch-weights]', or save the weights as .safetensors where PyTorch is"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's own, about how the file was written
            return _arrays(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # anything may be raised; the text may hold escape codes
        raise InputError(
            f"{path}: PyTorch cannot read the weights in it ({type(error).__name__})"
        ) from error


def _arrays(state: Any) -> Any:
    """A nested mapping with arrays in place of tensors; bfloat16, which NumPy lacks, as float32."""
    if isinstance(state, Mapping):
        return {key: _arrays(value) for key, value in state.items()}
    if hasattr(state, "detach"):
        tensor = state.detach()
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return state
