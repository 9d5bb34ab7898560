"""What a small board needs runs without TensorFlow and Keras: both are made unimportable here."""

import json
import subprocess
import sys

import numpy as np
import pytest

from pams_tf import zoo
from pams_tf.data.images import write_image

BLOCKED = """
import sys

class Unimportable:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "matplotlib", "tensorboard", "h5py"):
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Unimportable())
"""


def run(code, folder):
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A benchmark set of one photograph."""
    folder = tmp_path_factory.mktemp("board")
    coarse = np.random.default_rng(1).integers(0, 256, (12, 15, 3), np.uint8)
    write_image(folder / "sets" / "Set1" / "HR" / "0.png", coarse.repeat(5, 0).repeat(5, 1))
    return folder


def test_the_block_blocks(folder):
    result = run("import tensorflow", folder)
    assert result.returncode == 1
    assert "tensorflow is not installed here" in result.stderr


def test_every_module_of_litert_is_importable(folder):
    code = """
import importlib, pkgutil
import pams_tf.litert
names = [m.name for m in pkgutil.walk_packages(pams_tf.litert.__path__, "pams_tf.litert.")]
assert len(names) > 8, names
for name in names:
    importlib.import_module(name)
import pams_tf.locate, pams_tf.zoo, pams_tf.evaluation.benchmark, pams_tf.evaluation.loading
"""
    result = run(code, folder)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("command", "arguments", "expected"),
    [
        ("inspect_tflite", ["--tflite={file}"], "edsr_mobile x2, from run"),
        (
            "evaluate",
            ["--model=edsr_mobile_x2_8bit", "--benchmark=Set1", "--benchmark_dir=sets"],
            "edsr_mobile_x2_8bit.tflite, x2",
        ),
        ("evaluate", ["--model=bicubic", "--scale=3"], "bicubic, x3"),
        ("upscale", ["--model={file}", "--input=sets/Set1/HR", "--out=out"], "60x75 -> 120x150"),
        ("zoo", ["--name=edsr_mobile_x2"], "140,483 parameters"),
    ],
)
def test_commands_that_read_and_run_files(folder, command, arguments, expected):
    file = zoo.integer_file("edsr_mobile_x2", 8)
    words = [argument.format(file=file) for argument in arguments]
    code = f"""
from pams_tf.commands import {command}
status = {command}.main(["{command}", *{words!r}])
assert not {{"tensorflow", "keras"}} & set(sys.modules)
sys.exit(status)
"""
    result = run(code, folder)
    assert result.returncode == 0, result.stderr
    assert expected in result.stdout


RESULT = {
    "format": "pams_tf benchmark result",
    "version": 1,
    "date": "2026-01-02T03:04:05.000Z",
    "device": {"name": "Phone A"},
    "model": {"file": "edsr_8bit.tflite", "recipe": {"bits": 8}, "input": [1, 64, 64, 3]},
    "accelerator": {"actual": "wasm", "fully_accelerated": True, "threads": 1},
    "cold_ms": {"model": 1},
    "latency_ms": {"count": 9, "mean": 3, "deviation": 1, "p50": 3, "p90": 3, "p99": 4},
    "frames_per_second": 333,
    "memory_bytes": {"wasm": 1_000_000},
    "check": {"status": "equal", "comparison": None},
    "valid": True,
}


@pytest.mark.parametrize("command", ["mobile_report", "npu_report"])
def test_reports_do_not_load_tensorflow(folder, command):
    """They draw with Matplotlib or run Vela, which a small board does without."""
    if command == "npu_report":
        pytest.importorskip("ethosu.vela")
        words = [f"--tflite={zoo.integer_file('edsr_mobile_x2', 8)}", "--json=npu.json"]
    else:
        (folder / "phone.json").write_text(json.dumps(RESULT))
        words = ["--results=phone.json", "--out=report", "--json=mobile.json"]
    code = f"""
import sys
from pams_tf.commands import {command}
status = {command}.main(["{command}", *{words!r}])
assert not {{"tensorflow", "keras"}} & set(sys.modules)
sys.exit(status)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False
    )
    assert result.returncode == 0, result.stderr
    assert json.loads((folder / words[-1].partition("=")[2]).read_text())


def test_a_keras_network_is_refused_in_one_line(folder):
    code = """
from pams_tf.commands import upscale
sys.exit(upscale.main(["upscale", "--model=edsr_mobile_x2", "--input=sets/Set1/HR", "--out=o"]))
"""
    result = run(code, folder)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "needs TensorFlow, which is not installed" in result.stderr
