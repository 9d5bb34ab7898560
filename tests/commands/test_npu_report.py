"""The command npu_report, on a file as to_tflite writes it."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from pams_tf import InputError, QuantizationRecipe, models
from pams_tf.commands import npu_report, to_tflite
from pams_tf.export.vela import find_vela
from pams_tf.litert.flatbuffer import read_file
from pams_tf.runs import RunFolder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tmp_path):
    keras.utils.set_random_seed(1)
    run = RunFolder("runs/small")
    recipe = QuantizationRecipe(scope="all")
    run.claim({}, recipe)
    teacher = models.build("edsr_mobile", 2, blocks=1, features=4)
    pixels = np.random.default_rng(3).integers(0, 256, (16, 20, 3), np.uint8)
    models.save(models.quantize(teacher, recipe, pixels), run.student)
    return "--run=runs/small"


def export(run, *arguments):
    return to_tflite.main(["to_tflite", run, "--input_size=16x20", "--out=x2.tflite", *arguments])


def report(*arguments):
    return npu_report.main(["npu_report", "--tflite=x2.tflite", *arguments])


def test_an_exported_file(run, capsys):
    try:
        find_vela()
    except InputError as error:
        pytest.skip(str(error))
    assert export(run, "--target=npu") == 0
    operators = read_file("x2.tflite").operators
    assert "DEPTH_TO_SPACE" not in operators
    assert report("--accelerator=ethos-u55-256, ethos-u85-1024", "--json=npu.json") == 0
    first, second = json.loads(Path("npu.json").read_text())
    assert (first["accelerator"], second["accelerator"]) == ("ethos-u55-256", "ethos-u85-1024")
    for placement in (first, second):
        assert placement["cpu"] == {}
        assert sum(placement["npu"].values()) == len(operators)
    assert f"{first['cycles'] / 1e6:,.2f}" in capsys.readouterr().out

    assert export(run) == 0
    assert report("--accelerator=ethos-u55-256") == 0
    assert "1 DEPTH_TO_SPACE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--vela=nowhere/vela",), "nowhere/vela: no such program"),
        (("--accelerator=ethos-u55-256,",), "has an empty name"),
        (("--tflite=none.tflite", "--vela=true"), "none.tflite: cannot be read"),
    ],
)
def test_bad_input_is_one_clear_line(run, arguments, message, capsys):
    assert export(run) == 0
    capsys.readouterr()
    assert report(*arguments) == 1
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
