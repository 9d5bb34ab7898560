"""Weights of other frameworks, `.npz` and `.safetensors`: damaged, and of other names and shapes.

`.pt` files need PyTorch, with which the tests of the readers deal.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy
from damage import damaged

from inputs import command

SHARE = 250
FEATURES, SCALE = 6, 2


def prepare(folder: Path) -> None:
    """Nothing: every file is made."""


def make(rng: np.random.Generator, originals: Path) -> Callable[[], int]:
    arrays = _compact(rng)
    suffix = str(rng.choice(["npz", "safetensors"]))
    if rng.random() < 0.6:
        for _ in range(int(rng.integers(1, 4))):
            arrays = CHANGES[int(rng.integers(len(CHANGES)))](rng, arrays)
    path = Path(f"weights.{suffix}")
    try:
        _write(path, arrays)
    except Exception:  # safetensors knows fewer types and names
        path = path.with_suffix(".npz")
        _write(path, arrays)
    if rng.random() < 0.4:
        path.write_bytes(damaged(rng, path.read_bytes()))
    arguments = [f"--source={path}", "--out=out/network.keras"]
    return command("import_weights", *arguments)


def check(folder: Path, status: int) -> None:
    """A network was written, and nothing else."""
    written = [path.name for path in (folder / "out").rglob("*")]
    assert written == ([] if status else ["network.keras"]), written


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        safetensors.numpy.save_file(arrays, path)


def _compact(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """SRVGGNetCompact with one convolution inside."""
    shapes = {
        "body.0.weight": (FEATURES, 3, 3, 3), "body.0.bias": (FEATURES,),
        "body.1.weight": (FEATURES,),
        "body.2.weight": (FEATURES, FEATURES, 3, 3), "body.2.bias": (FEATURES,),
        "body.3.weight": (FEATURES,),
        "body.4.weight": (3 * SCALE**2, FEATURES, 3, 3), "body.4.bias": (3 * SCALE**2,),
    }  # fmt: skip
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def _one(rng: np.random.Generator, arrays: dict[str, np.ndarray]) -> str:
    return list(arrays)[int(rng.integers(len(arrays)))]


def _missing(rng: np.random.Generator, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    gone = _one(rng, arrays)
    return {name: array for name, array in arrays.items() if name != gone} or arrays


def _renamed(rng: np.random.Generator, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    old = _one(rng, arrays)
    names = ("body.9.weight", "x" * 500, "\x1b[31mred", "a/../b", "é漢", "module.body.0.weight", "")
    new = str(rng.choice(names))
    return {new if name == old else name: array for name, array in arrays.items()}


def _values(rng: np.random.Generator, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    array = arrays[_one(rng, arrays)]
    if array.size and array.dtype.kind == "f":
        values = (np.nan, np.inf, -np.inf, 1e30, 1e-45, 0)
        array.flat[int(rng.integers(array.size))] = rng.choice(values)
    return arrays


def _type(rng: np.random.Generator, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    kinds = (
        "float64",
        "float16",
        "int64",
        "uint8",
        "complex64",
        "bool",
        "S3",
        "U2",
        "M8[s]",
        ">f4",
    )
    name = _one(rng, arrays)
    with np.errstate(all="ignore"):
        try:
            arrays[name] = arrays[name].astype(str(rng.choice(kinds)))
        except (TypeError, ValueError, OverflowError):
            arrays[name] = np.zeros(3, np.float64)
    return arrays


def _shape(rng: np.random.Generator, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    name = _one(rng, arrays)
    array = arrays[name]
    changed = (array[..., None], array[:0], array.ravel(), array.sum(), array.T, array[:1])
    arrays[name] = np.ascontiguousarray(changed[int(rng.integers(len(changed)))])
    return arrays


CHANGES = (_missing, _renamed, _values, _type, _shape)
