"""XNNPACK's Arm kernels, emulated: every code that of the x86 kernels, the image the student's.

`make arm-test`; on Debian as root it installs what it needs, elsewhere it is skipped.
"""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pams_tf import QuantizationRecipe, models
from pams_tf.data import datasets
from pams_tf.data.calibration import packed_images, training_batches
from pams_tf.evaluation.upscaler import keras_upscale
from pams_tf.export.converter import convert
from pams_tf.litert.flatbuffer import read_file
from pams_tf.runs import RunFolder
from pams_tf.training.jobs import distil, train
from pams_tf.training.settings import DistillationSettings, TrainingSettings

pytestmark = pytest.mark.arm

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / "build" / "arm"
SIZE = (33, 47)  # no kernel's tile divides it
CANNOT = 77
# One core of each of the three kinds of int8 kernels that XNNPACK has for phones.
CORES = {"neon": "cortex-a53", "dotprod": "cortex-a76", "i8mm": "max,sve=off,sme=off"}
BITS = (8, 4)
NETWORKS = ("edsr_baseline_x4", "edsr_mobile_x2", "edsr_mobile_x3")


def recipe(bits):
    return QuantizationRecipe(bits=bits, scope="all")


def baseline(bits):
    """The float network that ships, with ranges calibrated on the built-in photographs."""
    packed = packed_images(None, 4, 32)
    batches = training_batches(packed, seed=1, batch_size=8, patch_size=32)
    return models.quantize("edsr_baseline_x4", recipe(bits), islice(batches, 2))


def mobile(scale, bits, folder):
    """A small network, trained and fine-tuned for some steps on the built-in photographs."""
    size = {
        "model": "edsr_mobile", "scale": scale, "overrides": {"blocks": 3}, "batch_size": 4,
        "patch_size": 24, "checkpoint_every": 100,
    }  # fmt: skip
    teacher = RunFolder(folder / f"x{scale}")
    if not teacher.model.is_file():
        train(TrainingSettings(steps=100, learning_rate=1e-3, **size), teacher)
    run = RunFolder(folder / f"x{scale}_{bits}")
    settings = DistillationSettings(
        steps=20, learning_rate=1e-5, calibration_steps=4, teacher=str(teacher.path), **size
    )
    distil(settings, recipe(bits), run)
    return models.load(run.student)


def crops(scale):
    """uint8 (3, 1, h, w, 3): the middles of the photographs that nothing was trained on."""
    pairs = datasets.sample(scale, "valid")
    pictures = [pairs.load(index)[0] for index in range(len(pairs))]
    cut = []
    for picture in pictures:
        y, x = (np.array(picture.shape[:2]) - SIZE) // 2
        cut.append(picture[y : y + SIZE[0], x : x + SIZE[1]])
    return np.stack(cut)[:, None]


@pytest.fixture(scope="module")
def emulated():
    """emulated(core, script, ...): run a Python script on an emulated Arm core, or skip."""

    def run(core, *arguments):
        result = subprocess.run(
            [HERE / "emulate.sh", CACHE, core, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHON": sys.executable},
        )
        if result.returncode == CANNOT:
            pytest.skip(result.stderr.strip().splitlines()[-1])
        assert result.returncode == 0, result.stderr

    return run


@pytest.fixture(scope="module")
def files(emulated, tmp_path_factory):
    """A folder of .tflite files and their inputs."""
    emulated("cortex-a76", "-c", "")  # where it cannot be done, nothing need be trained
    runs, folder = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("files")
    for name in NETWORKS:
        scale = int(name[-1])
        for bits in BITS:
            student = baseline(bits) if "baseline" in name else mobile(scale, bits, runs)
            path = folder / f"{name}_{bits}.tflite"
            path.write_bytes(convert(student, SIZE))
            np.save(path.with_suffix(".npy"), crops(scale))
            upscale = keras_upscale(student)
            images = np.stack([upscale(crop[0])[None] for crop in crops(scale)])
            np.save(path.with_suffix(".student"), images)
    return folder


@pytest.fixture(scope="module")
def x86(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("x86") / "codes.npz"
    subprocess.run([sys.executable, HERE / "codes.py", files, out], check=True)
    with np.load(out) as codes:
        return dict(codes)


@pytest.fixture(scope="module", params=CORES)
def arm(request, files, emulated, tmp_path_factory):
    out = tmp_path_factory.mktemp("arm") / "codes.npz"
    emulated(CORES[request.param], HERE / "codes.py", files, out)
    with np.load(out) as codes:
        assert codes["machine"] == "aarch64"
        return dict(codes)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_code_is_that_of_x86(files, x86, arm, network, bits, capsys):
    name = f"{network}_{bits}"
    assert arm[f"{name}/delegates"] == x86[f"{name}/delegates"] > 0  # XNNPACK computes on both
    assert len(np.unique(x86[f"{name}/xnnpack"])) > 100  # pictures, not one grey
    computed = [
        i for operator in read_file(files / f"{name}.tflite").graph for i in operator.outputs
    ]
    compared = [f"{name}/xnnpack", *(f"{name}/tensor_{index}" for index in computed)]
    differing = {key: np.count_nonzero(arm[key] != x86[key]) for key in compared}
    assert {key: count for key, count in differing.items() if count} == {}
    student = np.load(files / f"{name}.student.npy")
    np.testing.assert_array_equal(arm[f"{name}/xnnpack"].reshape(student.shape), student)
    builtin = np.mean(arm[f"{name}/builtin"] != x86[f"{name}/builtin"])
    codes = sum(x86[key].size for key in compared)
    with capsys.disabled():
        print(
            f"\n{name}: {codes:,} codes of {len(compared)} tensors are equal; "
            f"{builtin:.1%} of the builtin kernels' image bytes differ"
        )
