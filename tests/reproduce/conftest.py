"""A reproduction in seconds: the smoke budget, smaller still, on three little pictures."""

import dataclasses

import numpy as np
import pytest

from pams_tf.data import datasets
from pams_tf.data.images import write_image
from pams_tf.reproduce.budgets import BUDGETS

NETWORK = ("edsr_mobile", {"blocks": 1, "features": 4})


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The smoke budget with one block and four features; little pictures are built in."""
    monkeypatch.setenv("PAMS_TF_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(4)
    for index in range(3):
        coarse = rng.integers(0, 256, (25, 26, 3), np.uint8)
        path = tmp_path / "sets" / "Set5" / "HR" / f"{index}.png"
        write_image(path, coarse.repeat(8, 0).repeat(8, 1))
    little = datasets.benchmark(tmp_path / "sets", "Set5", 4)
    monkeypatch.setattr(datasets, "sample", lambda scale, split="train": little)
    monkeypatch.setattr("pams_tf.reproduce.costs.sample", lambda scale, split="train": little)
    # What a step takes is measured in one test, from nothing to a table.
    monkeypatch.setattr(
        "pams_tf.reproduce.costs._timed", lambda job: {"step": 0.25, "validation": 1.0}
    )
    budget = dataclasses.replace(
        BUDGETS["smoke"],
        families={"EDSR": NETWORK},
        batch_norm=NETWORK,
        student={**BUDGETS["smoke"].student, "checkpoint_every": 1, "calibration_steps": 1},
    )
    monkeypatch.setitem(BUDGETS, "smoke", budget)
    return budget
