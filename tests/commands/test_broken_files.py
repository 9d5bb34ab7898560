"""Every command that takes a .tflite file, with one that is cut short, foreign or another's."""

import importlib
from pathlib import Path

import keras
import numpy as np
import pytest

from pams_tf import QuantizationRecipe, models
from pams_tf.data.images import write_image
from pams_tf.export.run import export_run
from pams_tf.litert.flatbuffer import read_file
from pams_tf.runs import RunFolder

SIZE = {"blocks": 1, "features": 4}
COMMANDS = {
    "inspect_tflite": ("--tflite=x.tflite", "--json=out/x.json"),
    "npu_report": ("--tflite=x.tflite", "--vela=true", "--json=out/x.json"),
    "verify_tflite": ("--run=run", "--tflite=x.tflite", "--images=Set1", "--out=out"),
    "evaluate": (
        "--model=x.tflite", "--scale=2", "--benchmark=Set1", "--benchmark_dir=.",
        "--save_images=out",
    ),
    "upscale": ("--model=x.tflite", "--input=Set1/HR", "--out=out"),
}  # fmt: skip


def run_command(name, *arguments):
    module = importlib.import_module(f"pams_tf.commands.{name}")
    return module.main([f"{name}.py", *arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run and a photograph."""
    folder = tmp_path_factory.mktemp("broken")
    coarse = np.random.default_rng(3).integers(0, 256, (8, 9, 3), np.uint8)
    write_image(folder / "Set1" / "HR" / "0.png", coarse.repeat(4, 0).repeat(4, 1))
    keras.utils.set_random_seed(5)
    recipe = QuantizationRecipe(scope="all")
    run = RunFolder(folder / "run")
    run.claim({}, recipe)
    teacher = models.build("edsr_mobile", 2, **SIZE)
    models.save(models.quantize(teacher, recipe, coarse), run.student)
    export_run(run, (16, 18), out=folder / "good.tflite")
    return folder


@pytest.fixture(autouse=True)
def _inside(folder, tmp_path, monkeypatch):
    """Each test beside its own folder for results."""
    for name in ("run", "Set1", "good.tflite"):
        (tmp_path / name).symlink_to(folder / name)
    monkeypatch.chdir(tmp_path)


def without_outputs(model):
    model.subgraphs[0].operators[-1].outputs = []


def tensor_that_is_not_there(model):
    model.subgraphs[0].operators[0].inputs = [9999, 1, 2]


CONTENTS = {
    "empty": lambda good: b"",
    "cut in the identifier": lambda good: good[:6],
    "cut behind it": lambda good: good[:8],
    "a third": lambda good: good[: len(good) // 3],
    "all but one byte": lambda good: good[:-1],
    "a photograph": lambda good: b"\xff\xd8\xff\xe0" + bytes(200),
    "a zip": lambda good: Path("run/student.keras").read_bytes(),
    "text": lambda good: b"version https://git-lfs.github.com/spec/v1\n",
    "zeros behind the identifier": lambda good: good[:8] + bytes(500),
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", COMMANDS)
def test_one_line_and_nothing_written(name, content, capsys):
    Path("x.tflite").write_bytes(CONTENTS[content](Path("good.tflite").read_bytes()))
    assert run_command(name, *COMMANDS[name]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"{name}.py: x.tflite")
    assert "\n" not in error
    assert not [path for path in Path("out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("change", [without_outputs, tensor_that_is_not_there])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_graph_that_points_nowhere(name, change, repacked, capsys):
    Path("x.tflite").write_bytes(repacked(Path("good.tflite").read_bytes(), change))
    assert run_command(name, *COMMANDS[name]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"{name}.py: x.tflite")
    assert "\n" not in error
    assert not [path for path in Path("out").rglob("*") if path.is_file()]


def to_tflite(*arguments):
    return run_command("to_tflite", *arguments)


def test_a_size_that_is_too_small_for_tiles_is_said(capsys):
    """Radius 6 for one block at x2: 2 * 6 + 8."""
    assert to_tflite("--run=run", "--out=small.tflite", "--input_size=19x30") == 0
    assert "take 20x20 or more" in capsys.readouterr().out
    assert to_tflite("--run=run", "--out=enough.tflite", "--input_size=20x30") == 0
    said = capsys.readouterr().out
    assert "or more" not in said
    assert "open such a file as 1x1" not in said
    assert to_tflite("--run=run", "--out=open.tflite", "--input_size=dynamic") == 0
    said = capsys.readouterr().out
    assert "or more" not in said
    assert "open such a file as 1x1" in said
    large = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    write_image("in/large.png", large)
    arguments = ("--input=in", "--out=out")
    assert run_command("upscale", "--model=small.tflite", *arguments) == 1
    assert "export it with --input_size 20x20 or more" in capsys.readouterr().err
    assert not list(Path("out").iterdir())
    assert run_command("upscale", "--model=enough.tflite", *arguments) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input_size=0x8",), "0x8"),
        (("--variants=float33",), "'float33' is not possible; choose float32"),
        (("--io_dtype=int16",), "int16"),
        (("--weights=int4",), "cannot hold the kernels of a recipe of 8 bits"),
        (("--target=npu", "--input_size=dynamic"), "takes images of one size"),
    ],
)
def test_an_export_that_cannot_be(arguments, message, capsys):
    assert to_tflite("--run=run", "--out=new/x.tflite", *arguments) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not Path("new").exists() or not list(Path("new").iterdir())


def test_a_run_without_a_finished_student(capsys):
    RunFolder("begun").claim({}, QuantizationRecipe())
    for arguments in (
        ("to_tflite", "--run=begun"),
        ("verify_tflite", "--run=begun", "--tflite=good.tflite"),
        ("evaluate", "--model=begun", "--scale=2"),
        ("upscale", "--model=begun", "--input=Set1/HR", "--out=out"),
    ):
        assert run_command(*arguments) == 1
        error = capsys.readouterr().err.strip()
        assert "begun: the run has no finished network yet; start its command again" in error
        assert "\n" not in error
    assert sorted(path.name for path in Path("begun").iterdir()) == ["recipe.json", "settings.json"]


def test_calibration_images_that_do_not_fit(capsys):
    """A student of the body needs images for head and tail, at least of its patch's size."""
    recipe = QuantizationRecipe(scope="body")
    run = RunFolder("body")
    run.claim({"model": "edsr_mobile", "scale": 2, "data": "Set1", "patch_size": 24}, recipe)
    pixels = np.random.default_rng(3).integers(0, 256, (8, 9, 3), np.uint8)
    teacher = models.build("edsr_mobile", 2, **SIZE)
    models.save(models.quantize(teacher, recipe, pixels), run.student)
    for arguments, message in (
        ((), "0.png: 32x36 pixels, smaller than the crop of 48"),
        (("--calibration=none",), "none: no such folder"),
        (("--calibration=run",), "run: no images in it"),
    ):
        assert to_tflite("--run=body", "--out=body.tflite", *arguments) == 1
        error = capsys.readouterr().err.strip()
        assert message in error
        assert "\n" not in error
    assert not list(Path().glob("body.*"))


def test_pictures_that_do_not_fit(capsys):
    """LR beside HR of another size; a picture that the border takes all of; a broken one."""
    arguments = ("--run=run", "--tflite=good.tflite", "--out=out")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 36, 3), np.uint8)
    write_image("Pair/HR/0.png", pixels)
    write_image("Pair/LR_bicubic/X2/0x2.png", pixels[:10, :10])
    write_image("Tiny/HR/0.png", pixels[:4, :4])
    Path("Text/HR").mkdir(parents=True)
    Path("Text/HR/0.png").write_text("no picture")
    for name, message in (
        ("Pair", "0x2.png is 10x10, but"),
        ("Tiny", "4"),
        ("Text", "Text/HR/0.png"),
    ):
        assert run_command("verify_tflite", *arguments, f"--images={name}") == 1
        error = capsys.readouterr().err.strip()
        assert message in error
        assert "\n" not in error
    assert not list(Path("out").iterdir())


def test_the_good_file_is_good():
    assert "CONV_2D" in read_file("good.tflite").operators
    assert run_command("verify_tflite", *COMMANDS["verify_tflite"], "--tflite=good.tflite") == 0
