"""Shared by all tests: quiet TensorFlow, fixed seeds, golden files of the released code."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from collections.abc import Callable
from pathlib import Path

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


@pytest.fixture(autouse=True)
def _seeded() -> None:
    import keras

    keras.utils.set_random_seed(20201123)
