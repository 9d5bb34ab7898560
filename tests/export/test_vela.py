"""Vela's verdict on the exported files; needs `pip install 'pams_tf[npu]'`, or vela on PATH."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from pams_tf import InputError, QuantizationRecipe, models
from pams_tf.export.converter import convert
from pams_tf.export.variants import convert_float
from pams_tf.export.vela import ACCELERATORS, find_vela, place
from pams_tf.litert.flatbuffer import read_file
from pams_tf.models.transfer import transfer_weights
from pams_tf.quantization.calibration import calibrate


@pytest.fixture(scope="module")
def vela():
    try:
        return find_vela()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture
def file(student, tmp_path):
    """file("npu", ...) -> path of a small exported file; further arguments as `student`."""

    def make(target, *arguments, size=(16, 20), weights="int8", **settings):
        path = tmp_path / f"{target}.tflite"
        network = student(*arguments, **{"scope": "all", **settings})
        path.write_bytes(convert(network, size, target=target, weights=weights, io_dtype="int8"))
        return path

    return make


@pytest.fixture
def fake(tmp_path):
    """fake(script) -> an executable that stands in for Vela."""

    def make(script):
        path = tmp_path / "fake_vela"
        path.write_text(f"#!{sys.executable}\n{script}\n")
        path.chmod(0o755)
        return path

    return make


@pytest.mark.parametrize("accelerator", ACCELERATORS)
@pytest.mark.parametrize("target", ["npu", "ethos-u85"])
@pytest.mark.parametrize("settings", [{"scale": 2}, {"scale": 3}, {"scale": 4}, {"bits": 4}])
def test_all_of_edsr_is_on_the_npu(vela, file, accelerator, target, settings):
    path = file(target, **settings)
    placement = place(path, accelerator)
    assert placement.cpu == {}
    assert placement.npu == Counter(read_file(path).operators)
    assert placement.cycles > 0
    assert placement.inferences_per_second == pytest.approx(
        placement.clock_hz / placement.cycles, rel=1e-6
    )


@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_all_of_rdn_is_on_the_npu(vela, file, accelerator):
    assert place(file("npu", "rdn", scale=4), accelerator).cpu == {}


@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_what_stays_on_the_cpu_is_named(vela, file, accelerator):
    """And the reason for the target: no more multiplications than the CPU's file."""
    cpu, npu = (place(file(target, scale=4), accelerator) for target in ("cpu", "npu"))
    assert cpu.cpu == {"DEPTH_TO_SPACE": 2}
    assert "DEPTH_TO_SPACE" not in cpu.npu
    assert cpu.macs == npu.macs
    assert npu.cycles < 1.1 * cpu.cycles
    assert npu.as_json()["accelerator"] == accelerator


def test_the_form_for_ethos_u85_is_faster_there(vela, file):
    size = {"overrides": {"blocks": 2, "features": 32}, "size": (90, 160)}
    npu, own = (place(file(target, **size), "ethos-u85-1024") for target in ("npu", "ethos-u85"))
    assert own.macs > npu.macs
    assert own.cycles < 0.9 * npu.cycles


def test_int4_kernels(file):
    path = file("npu", bits=4, head_tail_bits=4, weights="int4")
    with pytest.raises(InputError, match="not support int4 kernels; export the file with --w"):
        place(path, "ethos-u55-256", sys.executable)


@pytest.mark.slow
@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_edsr_baseline_at_full_size(vela, images, tmp_path, accelerator):
    teacher = models.build("edsr_baseline", 4)
    student = models.build("edsr_baseline", 4, QuantizationRecipe(scope="all"))
    transfer_weights(teacher, student)
    calibrate(student, teacher, [images])
    path = tmp_path / "npu.tflite"
    path.write_bytes(convert(student, (180, 320), target="npu"))
    placement = place(path, accelerator)
    assert placement.cpu == {}
    assert sum(placement.npu.values()) == len(read_file(path).operators)


def test_vela_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(InputError, match=r"not installed; pip install 'pams_tf\[npu\]'"):
        find_vela()
    with pytest.raises(InputError, match="nowhere/vela: no such program"):
        find_vela("nowhere/vela")
    beside = tmp_path / "vela"
    beside.write_text("#!/bin/sh\n")
    beside.chmod(0o755)
    monkeypatch.setenv("PATH", "")
    assert Path(find_vela()) == beside


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import sys; sys.exit('first\\nout of wits')", r"Vela cannot .*-u55-256 \(out of wits\)"),
        ("print('nothing written')", r"\(nothing written\)"),
        ("import os; os.abort()", r"\(status -6, no message\)"),
    ],
)
def test_vela_that_fails(fake, file, script, message):
    with pytest.raises(InputError, match=message):
        place(file("cpu"), "ethos-u55-256", fake(script))


def test_files_that_are_not_for_an_npu(fake, student, tmp_path):
    never = fake("raise SystemExit('was called')")
    path = tmp_path / "float.tflite"
    path.write_bytes(convert_float(student(), (8, 8)))
    with pytest.raises(InputError, match=r"float\.tflite: not an integer file"):
        place(path, "ethos-u55-256", never)
    with pytest.raises(InputError, match=r"none\.tflite: cannot be read"):
        place(tmp_path / "none.tflite", "ethos-u55-256", never)


def test_an_unknown_accelerator(vela, file):
    with pytest.raises(InputError, match="invalid choice: 'ethos-u99'"):
        place(file("cpu"), "ethos-u99")
