"""The outside check by tensorflow-model-optimization, where it is installed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pams_tf import models

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "tfmot_qat.py"
INSTALLED = importlib.util.find_spec("tensorflow_model_optimization") is not None


def run(*arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def teacher(tmp_path):
    path = tmp_path / "teacher.keras"
    models.save(models.build("edsr_mobile", 2, blocks=1, features=8), path)
    return path


@pytest.mark.skipif(INSTALLED, reason="it is installed here")
def test_not_installed():
    result = run()
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith(
        "is not installed; pip install 'pams_tf[comparison]'"
    )


@pytest.mark.tfmot
def test_all_begin_and_train_alike(teacher, tmp_path):
    report = tmp_path / "report.json"
    result = run(
        "--teacher", teacher, "--steps=2", "--batch_size=2", "--patch_size=16",
        "--calibration_steps=1", "--checkpoint_every=1", "--learning_rate=1e-9",
        "--runs", tmp_path, "--json", report,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    results = json.loads(report.read_text())["results"]
    assert list(results) == ["float", "tfmot", "tflite", "pams"]
    psnr = {name: row["psnr"]["sample"] for name, row in results.items()}
    # An untrained network, whose bright and dark ends quantization trims to its gain.
    for name in ("tfmot", "tflite", "pams"):
        assert psnr[name]["simulated"] == pytest.approx(psnr["float"]["simulated"], abs=0.3)
    assert psnr["tfmot"]["file"] == pytest.approx(psnr["tfmot"]["simulated"], abs=0.02)
    assert psnr["tfmot"]["simulated"] == pytest.approx(psnr["tflite"]["simulated"], abs=0.05)


@pytest.mark.tfmot
def test_a_network_without_a_twin(tmp_path):
    path = tmp_path / "rdn.keras"
    models.save(models.build("rdn", 2, blocks=1, layers=1, growth=4, features=4), path)
    result = run("--teacher", path, "--runs", tmp_path)
    assert result.returncode == 1
    assert "there is no tf_keras twin of rdn" in result.stderr
    assert "Traceback" not in result.stderr
