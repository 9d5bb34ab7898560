"""Several replicas: the run of one device, from each kind of strategy, through lost processes."""

import contextlib
import csv
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

from pams_tf import QuantizationRecipe, models
from pams_tf.runs import RunFolder
from pams_tf.training.jobs import distil
from pams_tf.training.settings import DistillationSettings

SETTINGS = {
    "model": "edsr_mobile",
    "scale": 2,
    "overrides": {"blocks": 1, "features": 4},
    "batch_size": 4,
    "patch_size": 8,
    "steps": 20,
    "checkpoint_every": 5,
    "log_every": 1,
    "learning_rate": 1e-3,
    "calibration_steps": 2,
}


RECIPE = {"method": "pams", "bits": 4}


@pytest.fixture(scope="module")
def beginning(photos, tmp_path_factory):
    """beginning(**overrides): settings with a teacher of that size."""

    def begin(**overrides):
        size = {**SETTINGS["overrides"], **overrides}
        path = tmp_path_factory.mktemp("teacher") / "teacher.keras"
        keras.utils.set_random_seed(4)
        models.save(models.build("edsr_mobile", 2, **size), path)
        data = {"data": photos, "valid_data": photos, "teacher": str(path)}
        return {**SETTINGS, "overrides": size, **data}

    return begin


def on_one_device(settings, recipe, folder):
    """The log of a run in this process."""
    run = RunFolder(folder / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAMS_TF_CACHE", str(folder / "cache"))
        distil(DistillationSettings(**settings), QuantizationRecipe(**recipe), run)
    return rows(run.log)


@pytest.fixture(scope="module")
def settings(beginning):
    return beginning()


@pytest.fixture(scope="module")
def alone(settings, tmp_path_factory):
    return on_one_device(settings, RECIPE, tmp_path_factory.mktemp("alone"))


def rows(path):
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def assert_same_run(found, expected):
    """The same steps with the same losses, up to the order of float summation."""
    assert [row["step"] for row in found] == [row["step"] for row in expected]
    for ours, theirs in zip(found, expected, strict=True):
        for name in ("loss", "l1", "skt", "valid_psnr"):
            assert bool(ours[name]) == bool(theirs[name])
            if ours[name]:
                assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-4), ours


def process(run, strategy, settings, recipe=RECIPE, *, cpus=1, config=None):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    if config is not None:
        environment["TF_CONFIG"] = json.dumps(config)
    begun = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "one_process.py"), run, strategy, str(cpus)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    begun.stdin.write(json.dumps({**settings, "recipe": recipe}))
    begun.stdin.close()
    return begun


@contextlib.contextmanager
def workers(count, run, settings):
    ports = [free_port() for _ in range(count)]
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    begun = [
        process(
            run,
            "auto",
            settings,
            config={"cluster": cluster, "task": {"type": "worker", "index": index}},
        )
        for index in range(count)
    ]
    try:
        yield begun
    finally:
        for one in begun:
            one.kill()
            one.wait()
            one.stderr.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def ended(process, within=120):
    """Its exit status and the last line that it wrote to standard error."""
    errors = process.stderr.read()
    return process.wait(within), (errors.strip().splitlines() or [""])[-1]


def test_four_devices_of_one_machine(beginning, tmp_path):
    """Batch statistics, and ranges that follow the batch, are those of the whole batch too."""
    settings, recipe = beginning(batch_norm=True), {"method": "tflite", "bits": 4}
    begun = process(tmp_path / "four", "mirrored", settings, recipe, cpus=4)
    expected = on_one_device(settings, recipe, tmp_path)
    assert ended(begun)[0] == 0
    assert_same_run(rows(tmp_path / "four" / "log.csv"), expected)
    assert (tmp_path / "four" / "alphas.png").is_file()


@pytest.mark.parametrize(("lost", "then"), [(1, 4), (0, 1)], ids=["a worker", "the chief"])
def test_one_of_two_workers_is_lost(settings, alone, tmp_path, lost, then):
    """The other one ends with a message; the same command goes on with four, or with one."""
    run = RunFolder(tmp_path / "run")
    with workers(2, run.path, settings) as begun:
        end = time.monotonic() + 120
        while len(rows(run.log)) < 8 and time.monotonic() < end:
            time.sleep(0.01)
        begun[lost].kill()
        status, message = ended(begun[1 - lost])
    assert status == 1
    assert "another worker was lost" in message
    assert "start the same command on all workers, or on fewer" in message
    assert not run.student.exists()
    if then == 1:
        assert_same_run(on_one_device(settings, RECIPE, tmp_path), alone)
    else:
        with workers(then, run.path, settings) as begun:
            assert [ended(one)[0] for one in begun] == [0] * then
        assert_same_run(rows(run.log), alone)
    assert models.load(run.student).recipe.bits == 4
