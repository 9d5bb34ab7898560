"""Shared by all tests: quiet TensorFlow, fixed seeds, golden files of the released code."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Golden = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """golden("skt_loss") -> the arrays of tests/golden/skt_loss.npz."""
    folder = Path(__file__).parent / "golden"

    def load(name: str) -> Golden:
        with np.load(folder / f"{name}.npz") as file:
            return {key: file[key] for key in file.files}

    return load


@pytest.fixture(scope="session")
def repacked() -> Callable[[bytes, Callable[[Any], None]], bytes]:
    """repacked(content, change): a .tflite file after `change(model)`, to break one promise."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def repack(content: bytes, change: Callable[[Any], None]) -> bytes:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        change(model)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    return repack


@pytest.fixture(autouse=True)
def _seeded() -> None:
    import keras

    keras.utils.set_random_seed(20201123)
