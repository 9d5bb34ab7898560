"""The command from flags to files, as a user runs it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pams_tf.commands.evaluate import main


@pytest.fixture
def benchmarks(tmp_path) -> Path:
    """Two sets in the benchmark layout; sizes that are no multiples of the scale among them."""
    generator = np.random.default_rng(11)
    for name, sizes in {"SetA": [(48, 64), (51, 50)], "SetB": [(40, 44)]}.items():
        folder = tmp_path / "benchmarks" / name / "HR"
        folder.mkdir(parents=True)
        for index, (height, width) in enumerate(sizes):
            coarse = generator.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
            image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)
            image.save(folder / f"photo_{index}.png")
    return tmp_path / "benchmarks"


def _psnr_by_hand(result: np.ndarray, original: np.ndarray, border: int) -> float:
    original = original[: result.shape[0], : result.shape[1]].astype(float)
    error = (result.astype(float) - original) @ [65.481 / 255, 128.553 / 255, 24.966 / 255]
    inside = error[border:-border, border:-border]
    return 20 * math.log10(255) - 10 * math.log10((inside**2).mean())


def test_bicubic_from_flags_to_files(benchmarks, tmp_path, capsys):
    written, images = tmp_path / "out" / "result.json", tmp_path / "images"
    status = main(
        [
            "evaluate",
            "--model=bicubic",
            "--benchmark=SetA,SetB",
            f"--benchmark_dir={benchmarks}",
            "--scale=4",
            f"--json={written}",
            f"--save_images={images}",
        ]
    )
    assert status == 0
    first, second = json.loads(written.read_text())
    assert (first["benchmark"], first["scale"], first["images"]) == ("SetA", 4, 2)
    assert (second["benchmark"], second["scale"], second["images"]) == ("SetB", 4, 1)
    figures = []
    for image in first["per_image"]:
        result = np.asarray(Image.open(images / "SetA" / f"{image['name']}.png"))
        original = np.asarray(Image.open(benchmarks / "SetA" / "HR" / f"{image['name']}.png"))
        figures.append(_psnr_by_hand(result, original, 4))
        assert image["psnr"] == pytest.approx(figures[-1], abs=1e-9)
    assert [image["name"] for image in first["per_image"]] == ["photo_0", "photo_1"]
    assert first["psnr"] == pytest.approx(sum(figures) / 2)
    shown = capsys.readouterr()
    assert "bicubic, x4" in shown.out
    assert f"{first['psnr']:.3f}" in shown.out
    assert f"{second['ssim']:.4f}" in shown.out
    assert shown.err == ""


def test_the_flag_can_be_repeated(benchmarks, tmp_path):
    arguments = ["evaluate", "--model=bicubic", f"--benchmark_dir={benchmarks}", "--scale=2"]
    written = tmp_path / "result.json"
    flags = ["--benchmark=SetB", "--benchmark", "SetA", f"--json={written}"]
    assert main([*arguments, *flags]) == 0
    assert [result["benchmark"] for result in json.loads(written.read_text())] == ["SetB", "SetA"]


def test_the_sample_needs_no_folder(tmp_path):
    written = tmp_path / "result.json"
    assert main(["evaluate", "--model=bicubic", "--scale=4", f"--json={written}"]) == 0
    (result,) = json.loads(written.read_text())
    assert result["images"] == len(result["per_image"]) > 0
    assert 15 < result["psnr"] < 45


def test_a_tflite_file_is_measured(tflite, benchmarks, tmp_path, capsys):
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite["int8"])
    arguments = ["evaluate", f"--model={path}", "--benchmark=SetB"]
    assert main([*arguments, f"--benchmark_dir={benchmarks}", "--scale=2"]) == 0
    assert "net.tflite, x2" in capsys.readouterr().out
    assert main([*arguments, f"--benchmark_dir={benchmarks}", "--scale=3"]) == 1
    assert "upscales x2, not x3" in capsys.readouterr().err


def test_lr_files_are_used_and_counted(benchmarks, tmp_path, capsys):
    folder = benchmarks / "SetA" / "LR" / "x2"
    folder.mkdir(parents=True)
    grey = Image.new("RGB", (32, 24), "grey")  # what no downscaling gives
    grey.save(folder / "photo_0.jpg")
    arguments = ["evaluate", "--model=bicubic", f"--benchmark_dir={benchmarks}", "--scale=2"]
    written = tmp_path / "result.json"
    assert main([*arguments, "--benchmark=SetA,SetB", f"--json={written}"]) == 0
    out = capsys.readouterr().out
    assert "SetA: LR: 1 found, 1 made by bicubic\n" in out
    assert "SetB: LR: 0 found, 1 made by bicubic\n" in out
    first, second = json.loads(written.read_text())
    assert (first["lr_found"], second["lr_found"]) == (1, 0)
    assert first["per_image"][0]["psnr"] < 20
    grey.save(folder / "photo_9.png")
    (folder / "photo_0.jpg").unlink()
    assert main([*arguments, "--benchmark=SetA"]) == 1
    assert f"{folder}: none of its 1 pictures fits" in capsys.readouterr().err


def test_two_files_of_one_stem_are_saved_as_two(benchmarks, tmp_path):
    Image.new("RGB", (40, 40), "red").save(benchmarks / "SetB" / "HR" / "photo_0.jpg")
    arguments = ["evaluate", "--model=bicubic", f"--benchmark_dir={benchmarks}", "--scale=2"]
    assert main([*arguments, "--benchmark=SetB", f"--save_images={tmp_path / 'out'}"]) == 0
    names = sorted(path.name for path in (tmp_path / "out" / "SetB").iterdir())
    assert names == ["photo_0_jpg.png", "photo_0_png.png"]


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"benchmark": "SetC"}, 1, "SetC"),
        ({"benchmark": "SetA,,SetB"}, 1, "--benchmark=SetA,,SetB has an empty name"),
        ({"benchmark_dir": None}, 1, "--benchmark=SetA needs --benchmark_dir"),
        ({"benchmark_dir": "nowhere"}, 1, "nowhere"),
        ({"model": "EDSR"}, 1, "'EDSR' does not exist; give a .keras or .tflite file"),
        ({"model": None}, 2, "--model"),
        ({"scale": "1"}, 2, "scale"),
        ({"scale": "four"}, 2, "four"),
        ({"save_images": "/dev/null/images"}, 1, "cannot write /dev/null/images"),
    ],
)
def test_what_the_user_got_wrong_is_said_in_one_line(benchmarks, capsys, changes, status, message):
    flags = {"model": "bicubic", "benchmark": "SetA", "benchmark_dir": str(benchmarks), **changes}
    arguments = [f"--{name}={value}" for name, value in flags.items() if value is not None]
    assert main(["evaluate", *arguments]) == status
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""
