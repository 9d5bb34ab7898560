"""A disk that fills up in the middle of a run."""

import contextlib

import pytest

from pams_tf import InputError
from pams_tf.training import checkpoints


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
