"""Photographs, a cache of their own, and a disk that fills up in the middle of a run."""

import contextlib

import numpy as np
import pytest

from pams_tf import InputError
from pams_tf.data.images import write_image
from pams_tf.training import checkpoints


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PAMS_TF_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of four pictures, 32x32."""
    rng = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("photos")
    for index in range(4):
        coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
        write_image(folder / f"{index}.png", coarse.repeat(4, 0).repeat(4, 1))
    return str(folder)


@pytest.fixture
def full_disk():
    """`with full_disk(step) as saved:` the checkpoint of that step fails, and so must the run.

    `saved` are the steps whose checkpoints were written before.
    """

    @contextlib.contextmanager
    def at(step):
        save, saved = checkpoints.Checkpoints.save, []

        def failing(self, path, state):
            if state["step"] == step:
                raise InputError("disk full")
            saved.append(state["step"])
            save(self, path, state)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(checkpoints.Checkpoints, "save", failing)
            with pytest.raises(InputError, match="disk full"):
                yield saved

    return at
