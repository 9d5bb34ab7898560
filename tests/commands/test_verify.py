"""pams-verify-tflite: reports of a true copy, exit status and one line for anything else."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from pams_tf import QuantizationRecipe, models
from pams_tf.commands import verify_tflite
from pams_tf.data.images import write_image
from pams_tf.export.converter import convert
from pams_tf.export.run import export_run
from pams_tf.models.transfer import transfer_weights
from pams_tf.quantization.calibration import calibrate
from pams_tf.runs import RunFolder

SIZE = {"blocks": 1, "features": 4}


def verify(*arguments):
    return verify_tflite.main(["verify_tflite.py", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run, its file, photographs, and what is wrong in one way or another."""
    folder = tmp_path_factory.mktemp("verify")
    rng = np.random.default_rng(3)
    for index in range(2):
        coarse = rng.integers(0, 256, (8, 9, 3), np.uint8)
        write_image(folder / "Set2" / "HR" / f"{index}.png", coarse.repeat(4, 0).repeat(4, 1))
    keras.utils.set_random_seed(5)
    teacher = models.build("edsr_mobile", 2, **SIZE)
    recipe = QuantizationRecipe(scope="all")
    student = models.build("edsr_mobile", 2, recipe, **SIZE)
    transfer_weights(teacher, student)
    calibrate(student, teacher, [rng.uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)])
    run = RunFolder(folder / "run")
    run.claim({"data": str(folder)}, recipe)
    models.save(student, run.student)
    export_run(run, (8, 8), out=folder / "good.tflite")
    export_run(run, (8, 8), out=folder / "npu.tflite", target="npu")
    models.save(teacher, RunFolder(folder / "float").model)
    RunFolder(folder / "unfinished").claim({}, recipe)
    content = (folder / "good.tflite").read_bytes()
    (folder / "cut.tflite").write_bytes(content[: len(content) // 3])
    (folder / "photo.tflite").write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    kernel = student.get_layer("block_0_conv_1").kernel
    kernel.assign(-kernel.value)
    (folder / "other.tflite").write_bytes(convert(student, (8, 8)))
    return folder


@pytest.fixture(autouse=True)
def _inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


GOOD = ("--run=run", "--tflite=good.tflite", "--images=Set2")


def test_a_true_copy(capsys):
    assert verify(*GOOD, "--out=proof", "--json=j.json", "--kernels=xnnpack,reference") == 0
    report = json.loads(Path("proof/parity.json").read_text())
    assert report == json.loads(Path("j.json").read_text())
    assert report["failures"] == []
    assert report["images"] == 2
    assert report["benchmark"] == "Set2"
    assert report["tolerance"] == {
        "kernels": "xnnpack", "largest": 0, "share": 0.0, "psnr": 0.0,
    }  # fmt: skip
    xnnpack, reference = report["kernels"]
    assert (xnnpack["kernels"], reference["kernels"]) == ("xnnpack", "reference")
    assert "DEPTH_TO_SPACE declared as version 1" in reference["note"]
    assert xnnpack["psnr"] == report["psnr"] == report["student_psnr"]
    sites = [layer["site"] for layer in xnnpack["layers"]]
    assert sites[0] == "image"
    assert sites[-1] == "output"
    for kind in ("given_codes", "cumulative"):
        assert {layer[kind]["differing"] for layer in xnnpack["layers"]} == {0}
    text = Path("proof/parity.md").read_text()
    assert "Bit for bit the network that was trained" in text
    assert "xnnpack: 0 of " in text
    assert all(f"| {site} |" in text for site in sites)
    assert Path("proof/parity.png").read_bytes()[:4] == b"\x89PNG"
    assert "weights are equal" in capsys.readouterr().out


def test_a_file_for_an_npu(capsys):
    assert verify("--run=run", "--tflite=npu.tflite", "--images=Set2", "--out=npu") == 0
    report = json.loads(Path("npu/parity.json").read_text())
    assert report["target"] == "npu"
    assert [entry["differing"] for entry in report["same_images"]] == [0, 0]
    assert "0 of" in capsys.readouterr().out
    assert "exported again" in Path("npu/parity.md").read_text()


def test_kernels_that_round_in_another_way_are_no_true_copy(capsys):
    arguments = ("--out=strict", "--json=s.json", "--kernels=builtin")
    assert verify(*GOOD, *arguments) == 1
    error = capsys.readouterr().err.strip()
    assert "good.tflite: is not the run's network: " in error
    assert error.count("\n") == 0
    report = json.loads(Path("s.json").read_text())
    assert len(report["failures"]) >= 1
    assert "Not the network that was trained" in Path("strict/parity.md").read_text()
    loose = ("--max_share=0.2", "--max_difference=2", "--max_psnr=1")
    assert verify(*GOOD, *arguments, *loose) == 0
    text = Path("strict/parity.md").read_text()
    assert "Within what was allowed: per layer 20.000% by 2 allowed" in text


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--tflite=good.tflite",), 2, "run"),
        (("--run=none", "--tflite=good.tflite"), 1, "none: no such run folder"),
        (("--run=unfinished", "--tflite=good.tflite"), 1, "has no finished network yet"),
        (("--run=float", "--tflite=good.tflite"), 1, "float: a float run"),
        (("--run=run", "--tflite=none.tflite"), 1, "none.tflite: cannot be read"),
        (("--run=run", "--tflite=cut.tflite"), 1, "cut.tflite: truncated or corrupt"),
        (("--run=run", "--tflite=photo.tflite"), 1, "photo.tflite: not a TensorFlow Lite file"),
        (("--run=run", "--tflite=other.tflite"), 1, "weights of block_0_conv_1"),
        (("--run=run", "--tflite=good.tflite", "--images=nowhere"), 1, "nowhere: no such folder"),
        ((*GOOD, "--kernels=fast"), 1, "'fast' is not possible; choose xnnpack"),
        ((*GOOD, "--max_share=2"), 2, "max_share"),
        ((*GOOD, "--out=good.tflite/below"), 1, "cannot write"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, status, message, capsys):
    assert verify("--out=bad", *arguments) == status
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not Path("bad/parity.json").exists()
