"""Whole runs: killed anywhere and continued to the same weights, logs, NaN, bad input."""

import csv
import dataclasses
import functools
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from pams_tf import InputError, QuantizationRecipe, models
from pams_tf.runs import RunFolder
from pams_tf.training.checkpoints import DamagedError, saved_state
from pams_tf.training.jobs import distil, train
from pams_tf.training.logs import CsvLog
from pams_tf.training.settings import DistillationSettings, TrainingSettings

SIZE = {"blocks": 1, "features": 4}
COMMON = {
    "model": "edsr_mobile",
    "scale": 2,
    "overrides": SIZE,
    "batch_size": 2,
    "patch_size": 8,
    "steps": 6,
    "checkpoint_every": 2,
    "log_every": 1,
    "learning_rate": 1e-3,
}
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def teacher(tmp_path):
    path = tmp_path / "teacher.keras"
    keras.utils.set_random_seed(4)
    models.save(models.build("edsr_mobile", 2, **SIZE), path)
    return str(path)


@pytest.fixture
def settings(photos, teacher):
    return DistillationSettings(
        **COMMON, data=photos, valid_data=photos, teacher=teacher, calibration_steps=2
    )


def weights(path):
    return {variable.path: np.asarray(variable.value) for variable in models.load(path).variables}


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_finished_run_has_everything(settings, tmp_path):
    run = RunFolder(tmp_path / "run")
    result = distil(settings, QuantizationRecipe(), run)
    assert result.steps == 6
    student = models.load(run.student)
    assert student.recipe == QuantizationRecipe.load(run.recipe)
    assert sorted(path.name for path in run.newest.parent.iterdir()) == ["best.npz", "newest.npz"]
    log = rows(run.log)
    assert [row["step"] for row in log if row["loss"]] == ["1", "2", "3", "4", "5", "6"]
    assert [row["step"] for row in log if row["valid_psnr"]] == ["2", "4", "6"]
    for row in log:
        if row["loss"]:
            total = float(row["l1"]) + settings.skt_weight * float(row["skt"])
            assert abs(float(row["loss"]) - total) < 1e-3 * total
    alphas = rows(run.alphas)
    assert [row["step"] for row in alphas] == ["0", "1", "2", "3", "4", "5", "6"]
    assert set(alphas[0]) == {"step", "block_0_input", "block_0_relu", "block_0_residual"}
    assert run.alpha_curves.read_bytes()[:4] == b"\x89PNG"
    assert any(run.tensorboard.iterdir())
    best = max(float(row["valid_psnr"]) for row in log if row["valid_psnr"])
    assert result.best_psnr >= best - 1e-3


def test_drawn_pictures_are_trained_on_and_do_not_calibrate(settings, tmp_path):
    """Text has sharper edges than photographs have, which would widen every range."""
    first, second = RunFolder(tmp_path / "photos_only"), RunFolder(tmp_path / "drawn")
    recipe = QuantizationRecipe(scope="all")
    for run, share in ((first, 0.0), (second, 0.5)):
        distil(settings.replace(graphics=share, steps=1), recipe, run)
    starts = [rows(run.alphas)[0]["block_0_relu"] for run in (first, second)]
    assert starts[0] == starts[1]
    losses = [float(rows(run.log)[0]["l1"]) for run in (first, second)]
    assert losses[0] != losses[1]


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_may_be_any_bytes(settings, tmp_path, photos):
    """As a folder of another machine has them, or every name beyond ASCII in the locale C."""
    folder = tmp_path / os.fsdecode(b"gr\xfcn")
    shutil.copytree(photos, folder / "photos")
    data = str(folder / "photos")
    brief = dataclasses.replace(settings, data=data, valid_data=data, steps=1)
    run = RunFolder(folder / "run")
    result = distil(brief, QuantizationRecipe(), run)
    assert [row["step"] for row in rows(run.log)] == ["1", "1"]
    assert list(run.tensorboard.iterdir())
    again = distil(brief, QuantizationRecipe(), run)
    assert dataclasses.replace(again, network=result.network) == result  # it is the same run


def test_resuming_is_not_starting_again(settings, tmp_path, full_disk):
    """Stopped at step 4 of 6 by the file system, continued by the same command."""
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    distil(settings, QuantizationRecipe(bits=4), whole)
    with full_disk(6) as saved:
        distil(settings, QuantizationRecipe(bits=4), parts)
    assert 4 in saved
    assert not parts.student.exists()
    distil(settings, QuantizationRecipe(bits=4), parts)
    for name, value in weights(whole.student).items():
        np.testing.assert_array_equal(weights(parts.student)[name], value, err_msg=name)
    assert rows(parts.log) == rows(whole.log)
    assert rows(parts.alphas) == rows(whole.alphas)


def test_sigkill_at_any_moment(settings, tmp_path):
    """The command itself, killed three times without warning, ends as the undisturbed run."""
    arguments = [
        sys.executable, str(REPOSITORY / "tools" / "finetune.py"),
        "--bits=4", "--model=edsr_mobile", "--scale=2", "--blocks=1", "--features=4",
        f"--data={settings.data}", f"--valid_data={settings.data}",
        f"--teacher={settings.teacher}", "--batch_size=2", "--patch_size=8", "--steps=120",
        "--checkpoint_every=3", "--log_every=1", "--halve_every=20", "--calibration_steps=2",
        "--learning_rate=1e-3", f"--runs={tmp_path}",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    whole, killed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    subprocess.run([*arguments, "--name=whole"], check=True, env=environment, capture_output=True)
    deaths = 0
    for _ in range(3):
        process = subprocess.Popen(
            [*arguments, "--name=killed"], env=environment, stdout=subprocess.DEVNULL
        )
        before = step_of(killed)
        while process.poll() is None and step_of(killed) < before + 5:
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            deaths += 1
        process.wait()
    assert deaths >= 2
    assert not killed.student.exists()
    subprocess.run([*arguments, "--name=killed"], check=True, env=environment, capture_output=True)
    expected, found = weights(whole.student), weights(killed.student)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert rows(killed.log) == rows(whole.log)
    assert not list(killed.path.rglob("*.tmp"))


def step_of(run):
    return max((int(row["step"]) for row in rows(run.log)), default=0) if run.log.exists() else 0


def test_float_training_resumes_too(photos, tmp_path, full_disk):
    settings = TrainingSettings(**COMMON, data=photos, valid_data=photos, schedule="cosine")
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    result = train(settings, whole)
    assert result.best_psnr > 5
    with full_disk(4):
        train(settings, parts)
    train(settings, parts)
    for name, value in weights(whole.model).items():
        np.testing.assert_array_equal(weights(parts.model)[name], value, err_msg=name)


def test_training_lowers_the_loss(photos, tmp_path):
    settings = TrainingSettings(**{**COMMON, "steps": 60, "checkpoint_every": 60}, data=photos)
    train(settings, RunFolder(tmp_path / "run"))
    losses = [float(row["loss"]) for row in rows(tmp_path / "run" / "log.csv") if row["loss"]]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_a_start_as_interpolation_is_validated_before_the_first_step(photos, tmp_path):
    at_first = {}
    for start in ("random", "interpolation"):
        settings = TrainingSettings(**COMMON, data=photos, valid_data=photos, start=start)
        train(settings, RunFolder(tmp_path / start))
        validated = [row for row in rows(tmp_path / start / "log.csv") if row["valid_psnr"]]
        at_first[start] = float(validated[0]["valid_psnr"])
    assert at_first["interpolation"] > at_first["random"] + 3


def test_mixed_precision_trains_float32_variables(photos, tmp_path):
    settings = TrainingSettings(
        **COMMON, data=photos, valid_data=photos, precision="mixed_bfloat16"
    )
    train(settings, RunFolder(tmp_path / "run"))
    model = models.load(tmp_path / "run" / "model.keras")
    assert {variable.dtype for variable in model.variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_a_diverging_loss_stops_the_run_and_keeps_the_checkpoint(settings, tmp_path):
    run = RunFolder(tmp_path / "run")
    wild = DistillationSettings(**{**settings.to_dict(), "learning_rate": 1e30})
    with pytest.raises(InputError, match=r"diverged.*lower the learning rate"):
        distil(wild, QuantizationRecipe(), run)
    with np.load(run.newest) as file:
        for key in file.files:
            if key != "state":
                assert np.isfinite(file[key]).all(), key
    assert not run.student.exists()


def test_other_settings_do_not_touch_a_run(settings, tmp_path):
    run = RunFolder(tmp_path / "run")
    distil(settings, QuantizationRecipe(), run)
    before = run.student.read_bytes()
    with pytest.raises(InputError, match="recipe bits was 8 and is now 4"):
        distil(settings, QuantizationRecipe(bits=4), run)
    assert run.student.read_bytes() == before


def test_a_checkpoint_of_another_network_is_refused(settings, tmp_path):
    first, second = RunFolder(tmp_path / "first"), RunFolder(tmp_path / "second")
    distil(settings, QuantizationRecipe(), first)
    recipe = QuantizationRecipe(scope="all")
    second.claim(settings.to_dict(), recipe)
    foreign = first.newest.read_bytes()
    second.newest.parent.mkdir()
    second.newest.write_bytes(foreign)
    with pytest.raises(InputError, match=r"newest\.npz: a checkpoint of another network"):
        distil(settings, recipe, second)
    second.newest.write_bytes(foreign[:5000])
    with pytest.raises(InputError, match=r"newest\.npz: not a readable checkpoint"):
        distil(settings, recipe, second)


@pytest.fixture(scope="module")
def finished_once(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    keras.utils.set_random_seed(4)
    models.save(models.build("edsr_mobile", 2, **SIZE), folder / "teacher.keras")
    settings = DistillationSettings(
        **COMMON,
        data=photos,
        valid_data=photos,
        teacher=str(folder / "teacher.keras"),
        calibration_steps=2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAMS_TF_CACHE", str(folder / "cache"))
        distil(settings, QuantizationRecipe(bits=4), RunFolder(folder / "run"))
    return settings, folder / "run"


@pytest.fixture
def finished(finished_once, tmp_path):
    """A function that continues a copy of a finished run, and the copy."""
    settings, folder = finished_once
    run = RunFolder(shutil.copytree(folder, tmp_path / "run"))
    return functools.partial(distil, settings, QuantizationRecipe(bits=4), run), run


def rewritten(path, state=None, **arrays):
    """Rewrite a checkpoint with another state, or with other arrays."""
    with np.load(path) as file:
        kept = {key: file[key] for key in file.files}
    if state is not None:
        kept["state"] = np.array(state)
    np.savez(path, **{**kept, **arrays})


GOOD = {"step": 4, "psnr": 30.0, "best_step": 2, "best_psnr": 31.0}


@pytest.mark.parametrize(
    "state",
    [
        "",
        "[1]",
        "{}",
        json.dumps({**GOOD, "step": "4"}),
        json.dumps({**GOOD, "step": -4}),
        json.dumps({**GOOD, "best_step": 2.5}),
        json.dumps({**GOOD, "psnr": None}),
        "[" * 100_000,
    ],
    ids=lambda state: state[:40],
)
def test_a_damaged_state_is_named(tmp_path, state):
    path = tmp_path / "newest.npz"
    np.savez(path, state=np.array(json.dumps(GOOD)))
    assert saved_state(path) == GOOD
    rewritten(path, state)
    with pytest.raises(DamagedError, match=r"newest\.npz: not a readable checkpoint \("):
        saved_state(path)


@pytest.mark.parametrize("state", ["[1]", json.dumps({**GOOD, "step": 10**9})])
def test_a_damaged_checkpoint_costs_the_steps_since_the_best(finished, state, capsys):
    go_on, run = finished
    expected = weights(run.student), rows(run.log)
    run.student.unlink()
    rewritten(run.newest, state)
    go_on()
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "newest.npz: not a readable checkpoint (" in line
    assert "; going on from the best one, step " in line
    for name, value in expected[0].items():
        np.testing.assert_array_equal(weights(run.student)[name], value, err_msg=name)
    assert rows(run.log) == expected[1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "holds <U4, not real numbers"),
        (np.float32(np.nan), "holds values that are not finite"),
        (np.float32(-np.inf), "holds values that are not finite"),
    ],
)
def test_arrays_that_are_no_weights(finished, value, message, capsys):
    go_on, run = finished
    expected = weights(run.student)
    run.student.unlink()
    with np.load(run.newest) as file:
        key, shape = next((k, file[k].shape) for k in file.files if k.startswith("student/"))
    rewritten(run.newest, **{key: np.full(shape, value)})
    go_on()
    assert f"its {key} {message}" in capsys.readouterr().err
    for name, array in expected.items():
        np.testing.assert_array_equal(weights(run.student)[name], array, err_msg=name)
    for path in (run.newest, run.best):
        rewritten(path, **{key: np.full(shape, value)})
    with pytest.raises(DamagedError, match=f"its {key} {message}"):
        go_on()


def test_a_checkpoint_written_under_numpy_2_0_is_read(finished):
    """There savez took its option allow_pickle for one more array."""
    go_on, run = finished
    run.student.unlink()
    for path in (run.newest, run.best):
        with zipfile.ZipFile(path, "a") as file:
            array = io.BytesIO()
            np.save(array, np.array(False))
            file.writestr("allow_pickle.npy", array.getvalue())
    go_on()
    assert run.student.is_file()


@pytest.mark.parametrize("name", ["log", "alphas"])
def test_a_damaged_log_is_set_aside(finished, name, capsys):
    go_on, run = finished
    path = getattr(run, name)
    path.write_bytes(b"step,loss\n1,noise\n")
    run.student.unlink()
    go_on()
    assert run.student.is_file()
    aside = path.with_suffix(".damaged.csv")
    assert f"set aside as {aside.name}" in capsys.readouterr().err
    assert aside.read_bytes() == b"step,loss\n1,noise\n"


@pytest.mark.parametrize(
    ("content", "damaged"),
    [
        (b"", False),
        (b"step,loss\n1,0.5\n2,", False),  # killed while writing
        (b"step,loss\nx,1\n", True),
        (b"a,b\n1,2\n", True),
        (b"\xff\xfe\x00", True),
    ],
)
def test_what_counts_as_a_damaged_log(tmp_path, content, damaged, capsys):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    CsvLog(path, ["loss"], 5).write(6, {"loss": 0.25})
    assert rows(path)[-1] == {"step": "6", "loss": "0.25"}
    assert path.with_suffix(".damaged.csv").exists() is damaged
    assert ("set aside" in capsys.readouterr().err) is damaged


def test_a_run_killed_before_its_second_checkpoint_has_one_row_of_step_0(finished):
    go_on, run = finished
    run.student.unlink()
    for path in (run.newest, run.best):
        rewritten(path, '{"step": 0, "psnr": 1.0, "best_step": 0, "best_psnr": 1.0}')
    go_on()
    assert [row["step"] for row in rows(run.alphas)] == ["0", "1", "2", "3", "4", "5", "6"]


def test_full_disk_while_saving_keeps_the_last_checkpoint(settings, tmp_path, monkeypatch):
    run = RunFolder(tmp_path / "run")
    fsync, calls = os.fsync, []

    def full_later(descriptor):
        calls.append(descriptor)
        if len(calls) > 5:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full_later)
    with pytest.raises(InputError, match=r"cannot write .*npz: No space left on device; free"):
        distil(settings, QuantizationRecipe(), run)
    monkeypatch.undo()
    assert not list(run.path.rglob("*.tmp"))
    monkeypatch.setenv("PAMS_TF_CACHE", str(tmp_path / "cache"))
    distil(settings, QuantizationRecipe(), run)
    whole = RunFolder(tmp_path / "whole")
    distil(settings, QuantizationRecipe(), whole)
    for name, value in weights(whole.student).items():
        np.testing.assert_array_equal(weights(run.student)[name], value, err_msg=name)


def test_unwritable_folder_is_named_before_any_work(settings, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot write .*choose another folder"):
        distil(settings, QuantizationRecipe(), RunFolder(tmp_path / "file" / "run"))


def test_images_smaller_than_the_patch(settings, tmp_path):
    large = DistillationSettings(**{**settings.to_dict(), "patch_size": 17})
    with pytest.raises(InputError, match=r"32x32 pixels, smaller than the crop of 34"):
        distil(large, QuantizationRecipe(), RunFolder(tmp_path / "run"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": "none.keras"}, r"none\.keras: no such file"),
        ({"teacher": None}, r"no float weights ship for edsr_mobile x2 .*edsr_baseline_x4"),
        ({"data": "nowhere"}, "nowhere: no such folder"),
    ],
)
def test_missing_inputs(settings, tmp_path, changes, message):
    asked = DistillationSettings(**{**settings.to_dict(), **changes})
    with pytest.raises(InputError, match=message):
        distil(asked, QuantizationRecipe(), RunFolder(tmp_path / "run"))


def test_a_teacher_of_another_size_is_refused(settings, tmp_path):
    wide = DistillationSettings(**{**settings.to_dict(), "overrides": {"blocks": 2, "features": 4}})
    with pytest.raises(InputError, match=r"weights are those of edsr_mobile x2, blocks=1"):
        distil(wide, QuantizationRecipe(), RunFolder(tmp_path / "run"))


def test_a_quantized_teacher_is_refused(settings, tmp_path):
    distil(settings, QuantizationRecipe(), RunFolder(tmp_path / "run"))
    again = DistillationSettings(**{**settings.to_dict(), "teacher": str(tmp_path / "run")})
    with pytest.raises(InputError, match="is quantized; give a float network"):
        distil(again, QuantizationRecipe(), RunFolder(tmp_path / "again"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": -1}, "steps=-1"),
        ({"batch_size": -1}, "batch_size=-1"),
        ({"learning_rate": 0}, "learning_rate=0"),
        ({"graphics": 1.5}, r"graphics=1\.5 is not possible; give a share from 0 to 1"),
        (
            {"graphics": 0.5, "target": "teacher"},
            r"graphics=0\.5 is not possible; give it with --target hr",
        ),
        ({"schedule": "step"}, "schedule='step' .*halving or cosine"),
        ({"skt_weight": -1.0}, r"skt_weight=-1\.0"),
        ({"alpha_learning_rate": 0.0}, r"alpha_learning_rate=0\.0"),
        ({"calibration_steps": 0}, "calibration_steps=0"),
        ({"seed": -1}, "seed=-1"),
        ({"precision": "float16"}, "precision='float16'"),
    ],
)
def test_settings_out_of_range(changes, message):
    with pytest.raises(InputError, match=message):
        DistillationSettings(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "bicubic"}, "start='bicubic'"),
    ],
)
def test_settings_of_a_float_run_out_of_range(changes, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings(**changes)
    with pytest.raises(TypeError, match=next(iter(changes))):  # a student has no such setting
        DistillationSettings(**changes)


def test_the_callers_dtype_policy_is_theirs_and_changes_no_run(settings, photos, tmp_path):
    short = TrainingSettings(**{**COMMON, "steps": 1}, data=photos)
    for name, policy in (("plain", "float32"), ("mixed", "mixed_bfloat16")):
        keras.config.set_dtype_policy(policy)
        try:
            train(short, RunFolder(tmp_path / name / "float"))
            distil(settings.replace(steps=1), QuantizationRecipe(), RunFolder(tmp_path / name))
            assert keras.config.dtype_policy().name == policy
        finally:
            keras.config.set_dtype_policy("float32")
    for file in ("float/model.keras", "student.keras"):
        mixed = weights(tmp_path / "mixed" / file)
        for name, value in weights(tmp_path / "plain" / file).items():
            np.testing.assert_array_equal(mixed[name], value, err_msg=name)
