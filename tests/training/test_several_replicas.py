"""Several replicas: the run of one device, from each kind of strategy, through lost processes."""

import contextlib
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from pams_tf import InputError, QuantizationRecipe, models
from pams_tf.commands import finetune
from pams_tf.data.calibration import packed_images
from pams_tf.reporting.progress import StepProgress
from pams_tf.runs import RunFolder
from pams_tf.training.jobs import check_alike
from pams_tf.training.logs import TrainingLog
from pams_tf.training.settings import TrainingSettings

FLAGS = {
    "bits": 4,
    "batch_size": 4,
    "patch_size": 8,
    "steps": 20,
    "checkpoint_every": 5,
    "log_every": 1,
    "learning_rate": 1e-3,
    "calibration_steps": 2,
    "name": "run",
}


@pytest.fixture(scope="module")
def command(photos, tmp_path_factory):
    """command(size, **flags): the flags of a run, with a teacher of that size."""

    def of(size=None, **flags):
        path = tmp_path_factory.mktemp("teacher") / "teacher.keras"
        keras.utils.set_random_seed(4)
        models.save(models.build("edsr_mobile", 2, blocks=1, features=4, **(size or {})), path)
        data = {"data": photos, "valid_data": photos, "teacher": path}
        return [f"--{name}={value}" for name, value in (FLAGS | data | flags).items()]

    return of


@pytest.fixture(scope="module")
def flags(command):
    return command()


@pytest.fixture(scope="module")
def alone(flags, tmp_path_factory):
    return on_one_device(flags, tmp_path_factory.mktemp("alone"))


def on_one_device(flags, runs):
    """The log of a run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAMS_TF_CACHE", str(runs / "cache"))
        patch.delenv("TF_CONFIG", raising=False)
        assert finetune.main(["pams-finetune", *flags, f"--runs={runs}"]) == 0
    return rows(runs / "run" / "log.csv")


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


def process(flags, runs, *, cpus=1, wait_behind=0, config=None):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    if config is not None:
        environment["TF_CONFIG"] = json.dumps(config)
    script = str(Path(__file__).parent / "one_process.py")
    return subprocess.Popen(
        [sys.executable, script, str(cpus), str(wait_behind), *flags, f"--runs={runs}"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def workers(flags, runs, ports, *, waiting=None):
    """A worker at each port; `flags` are those of all of them, or of each.

    The one whose index is `waiting` stops behind step 8, and so do the others, which wait for it.
    """
    each = flags if isinstance(flags[0], list) else [flags] * len(ports)
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    begun = [
        process(
            each[index],
            runs,
            wait_behind=8 if index == waiting else 0,
            config={"cluster": cluster, "task": {"type": "worker", "index": index}},
        )
        for index in range(len(ports))
    ]
    try:
        yield begun
    finally:
        for one in begun:
            one.kill()
            one.wait()
            one.stderr.close()


def free_ports(count):
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("", 0))
        return [probe.getsockname()[1] for probe in probes]


def ended(process, within=240):
    """Its exit status and the last line that it wrote to standard error."""
    errors = process.stderr.read()
    return process.wait(within), (errors.strip().splitlines() or [""])[-1]


def in_the_middle(run, begun):
    """Wait until step 8 is logged; the log has a row of the validation behind step 5, too."""
    while len(rows(run.log)) < 9:
        assert all(one.poll() is None for one in begun)
        time.sleep(0.01)


def test_four_devices_of_one_machine(command, tmp_path):
    """Batch statistics, and ranges that follow the batch, are those of the whole batch too."""
    flags = command({"batch_norm": True}, method="tflite")
    begun = process([*flags, "--strategy=mirrored"], tmp_path / "four", cpus=4)
    expected = on_one_device(flags, tmp_path)
    assert ended(begun)[0] == 0
    run = RunFolder(tmp_path / "four" / "run")
    assert_same_run(rows(run.log), expected)
    assert run.alpha_curves.is_file()


@pytest.mark.slow  # processes that wait for each other, on a machine that may be busy
def test_a_lost_worker_ends_the_run_and_one_device_goes_on(flags, alone, tmp_path):
    run = RunFolder(tmp_path / "run")
    with workers(flags, tmp_path, free_ports(2), waiting=1) as begun:
        in_the_middle(run, begun)
        begun[1].kill()
        status, message = ended(begun[0])
    assert status == 1
    assert "another worker was lost" in message
    assert "start the same command on all workers, or on fewer" in message
    assert not run.student.exists()
    assert_same_run(on_one_device(flags, tmp_path), alone)
    assert models.load(run.student).recipe.bits == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lost", "sign", "then"),
    [([0], signal.SIGKILL, 4), ([0, 1], signal.SIGKILL, 2), ([1], signal.SIGSTOP, 3)],
    ids=["the chief", "all", "one that hangs"],
)
def test_workers_go_on_where_others_were_lost(command, tmp_path, lost, sign, then):
    """The same ports are used again; three workers have uneven shares of four validation images."""
    flags, run, ports = command(batch_size=12), RunFolder(tmp_path / "run"), free_ports(4)
    expected = on_one_device(flags, tmp_path / "alone")
    with workers(flags, tmp_path, ports[:2], waiting=lost[0]) as begun:
        in_the_middle(run, begun)
        for index in lost:
            begun[index].send_signal(sign)
        for one in begun[:0] if lost == [0, 1] else [begun[1 - lost[0]]]:
            assert ended(one)[0] == 1
    assert not run.student.exists()
    with workers(flags, tmp_path, ports[:then]) as begun:
        assert [ended(one)[0] for one in begun] == [0] * then
    assert_same_run(rows(run.log), expected)
    assert models.load(run.student).recipe.bits == 4


@pytest.mark.slow  # processes that wait for each other, on a machine that may be busy
def test_what_one_worker_lacks_ends_all_with_a_message(flags, tmp_path):
    lacking = [*flags, "--data=nowhere"]
    with workers([flags, lacking], tmp_path, free_ports(2)) as begun:
        chief, other = [ended(one) for one in begun]
    assert chief[0] == 1
    # On a busy machine the chief may see that the other is gone before it reads why.
    assert "worker 1 cannot go on and says why" in chief[1] or "another worker was lost" in chief[1]
    assert other[0] == 1
    assert "nowhere" in other[1]
    assert not (tmp_path / "run").exists()


def test_nan_on_one_of_four_devices(tmp_path):
    """It is seen which; with a scaled loss all devices skip that step, and the next one counts."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "four_devices.py")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    x = np.arange(8.0) / 8
    errors = x + 1 - (3 * x - 1)  # of y = 1 * x + 1
    trained = [1 - 0.125 * np.mean(2 * errors * x), 1 - 0.125 * np.mean(2 * errors)]
    losses = np.mean(errors.reshape(4, 2) ** 2, axis=1)

    whole, broken = found["float32"]
    np.testing.assert_allclose(whole["losses"], losses, rtol=1e-6)
    np.testing.assert_allclose(whole["values"], trained, rtol=1e-6)
    assert np.isnan(broken["losses"]).tolist() == [False, False, True, False]

    skipped, whole = found["mixed_float16"]
    assert np.isnan(skipped["losses"]).tolist() == [False, False, True, False]
    assert skipped["values"] == [1, 1]
    np.testing.assert_allclose(whole["values"], trained, rtol=1e-6)

    with StepProgress("run", 9, 0, visible=False) as bar:
        log = TrainingLog(RunFolder(tmp_path), [], keras.optimizers.SGD(), ["loss"], 4, 9, bar)
    with pytest.raises(InputError, match=r"the loss is nan on replica 2 of 4 at step 5; "):
        log.step_done(np.array([broken["losses"]]))


def test_workers_that_do_not_agree(photos):
    """A stand-in for a worker whose chief has other settings."""
    settings, packed = TrainingSettings(), packed_images(photos, 2, 8)
    worker = SimpleNamespace(worker=1, from_chief=lambda numbers: [numbers[0] + 1])
    with pytest.raises(InputError, match="worker 1 has other settings or images than the chief"):
        check_alike(worker, settings, None, packed)
    heard = []
    worker.from_chief = lambda numbers: heard.append(numbers) or numbers
    for changes in ({}, {"data": "a"}, {"valid_data": "b"}, {"seed": 2}):
        check_alike(worker, settings.replace(**changes), None, packed)
    check_alike(worker, settings, QuantizationRecipe(), packed)
    check_alike(worker, settings, None, packed_images(None, 2, 8))
    assert heard[0] == heard[1] == heard[2]  # where images lie is a matter of each machine
    assert len({number for (number,) in heard}) == 4
