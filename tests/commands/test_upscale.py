"""The command on every kind of picture that people keep, and on what is none."""

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from pams_tf.commands.upscale import main
from pams_tf.data.finding import find_pictures
from pams_tf.data.pictures import read_picture, write_picture
from pams_tf.data.resize import upscale
from pams_tf.errors import InputError

ORIENTATION, MODEL, COPYRIGHT = 0x0112, 0x0110, 0x8298
WIDTH, HEIGHT, DATE, MAKER_NOTE = 0xA002, 0xA003, 0x9003, 0x927C
SUFFIXES = (".png", ".jpg", ".webp", ".tif")


def command(*arguments):
    return main(["upscale.py", *map(str, arguments)])


def program(*arguments, **settings):
    tool = Path(__file__).parents[2] / "tools" / "upscale.py"
    arguments = ("--model=bicubic", "--input=in", "--out=out", *arguments)
    return subprocess.run([sys.executable, str(tool), *arguments], check=False, **settings)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()


@pytest.fixture
def rgb():
    coarse = np.random.default_rng(5).integers(0, 256, (5, 7, 3), np.uint8)
    return coarse.repeat(4, 0).repeat(4, 1)


def enlarged(source, *arguments):
    """The result of x2 bicubic, opened."""
    assert (
        command("--model=bicubic", "--scale=2", f"--input={source}", "--out=out", *arguments) == 0
    )
    return Image.open(Path("out") / Path(source).name)


def exif(**changes):
    block = Image.Exif()
    block.update({MODEL: "Camera 1", COPYRIGHT: "nobody", **changes.pop("base", {})})
    block[ExifTags.IFD.Exif] = {
        DATE: "2020:11:23 10:00:00",
        WIDTH: 28,
        HEIGHT: 20,
        MAKER_NOTE: b"x",
    }
    block[ExifTags.IFD.GPSInfo] = {1: "N", 2: (47.0, 22.0, 0.0)}
    return block.tobytes()


# --- Every kind of picture -----------------------------------------------------------------------


def test_rgb_is_the_models_image(rgb):
    Image.fromarray(rgb).save("in/a.png")
    result = enlarged("in/a.png")
    assert result.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(result), upscale(rgb, 2))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_exif_orientation_is_applied_and_the_rest_kept(rgb, suffix, orientation):
    path = Path(f"in/a{suffix}")
    best = {".webp": {"lossless": True}, ".jpg": {"quality": 95, "subsampling": 0}}
    tags = exif(base={ORIENTATION: orientation})
    Image.fromarray(rgb).save(path, exif=tags, **best.get(suffix, {}))
    turns = {1: 0, 6: 3, 8: 1}[orientation]
    result = enlarged(path)
    block = result.getexif()
    assert block.get(ORIENTATION, 1) == 1
    assert (block[MODEL], block[COPYRIGHT]) == ("Camera 1", "nobody")
    photograph = block.get_ifd(ExifTags.IFD.Exif)
    assert photograph[DATE] == "2020:11:23 10:00:00"
    assert (photograph[WIDTH], photograph[HEIGHT]) == result.size
    assert MAKER_NOTE not in photograph
    assert block.get_ifd(ExifTags.IFD.GPSInfo)[2] == (47.0, 22.0, 0.0)
    expected = upscale(np.rot90(rgb, turns), 2).astype(int)
    assert result.size == expected.shape[1::-1]
    error = np.abs(np.asarray(result) - expected)
    assert error.mean() < (1e-9 if suffix in (".png", ".tif") else 12)  # another turn: above 60


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_icc_profile_is_kept(rgb, suffix):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(rgb).save(f"in/a{suffix}", icc_profile=profile)
    assert enlarged(f"in/a{suffix}").info["icc_profile"] == profile
    assert "exif" not in enlarged(f"in/a{suffix}", "--existing=overwrite").info


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_alpha_is_enlarged_by_bicubic(rgb, suffix):
    alpha = np.maximum(rgb[..., 1], 1)  # no pixel is hidden altogether
    rgba = np.dstack([rgb, alpha])
    lossless = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    Image.fromarray(rgba).save(f"in/a{suffix}", **lossless)
    result = enlarged(f"in/a{suffix}")
    assert result.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(result)[..., 3], upscale(alpha, 2))
    if suffix != ".webp":
        np.testing.assert_array_equal(np.asarray(result)[..., :3], upscale(rgb, 2))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_grey_stays_grey(rgb, suffix):
    Image.fromarray(rgb[..., 0]).save(f"in/a{suffix}")
    stored = np.asarray(Image.open(f"in/a{suffix}"))
    result = enlarged(f"in/a{suffix}")
    assert result.mode == "L"
    tolerance = 40 if suffix == ".jpg" else 0
    assert np.abs(np.asarray(result).astype(int) - upscale(stored, 2)).max() <= tolerance


def test_grey_with_alpha_and_bilevel(rgb):
    grey = np.maximum(rgb[..., :2], 1)  # no pixel is hidden altogether
    Image.fromarray(grey, "LA").save("in/la.png")
    result = np.asarray(enlarged("in/la.png"))
    np.testing.assert_array_equal(result, np.dstack([upscale(grey[..., i], 2) for i in (0, 1)]))
    Image.fromarray(rgb[..., 0] > 127).save("in/bilevel.png")
    result = enlarged("in/bilevel.png")
    assert result.mode == "L"
    expected = upscale(np.where(rgb[..., 0] > 127, 255, 0).astype(np.uint8), 2)
    np.testing.assert_array_equal(np.asarray(result), expected)


def test_palettes_become_rgb_and_their_transparency_alpha(rgb):
    palette = Image.fromarray(rgb).quantize(16)
    palette.save("in/p.png")
    result = enlarged("in/p.png")
    assert result.mode == "RGB"
    np.testing.assert_array_equal(
        np.asarray(result), upscale(np.asarray(palette.convert("RGB")), 2)
    )
    palette.save("in/t.png", transparency=3)
    result = enlarged("in/t.png")
    assert result.mode == "RGBA"
    opaque = np.where(np.asarray(palette) == 3, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(result)[..., 3], upscale(opaque, 2))


def png_16_bit(path, values):
    """uint16 (H, W, 3) as PNG, which Pillow cannot write."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    Path(path).write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_sixteen_bits_become_eight_and_it_is_said(rgb, capsys):
    deep = rgb.astype(np.uint16) * 256 + 77
    png_16_bit("in/colour.png", deep)
    Image.fromarray(deep[..., 0]).save("in/grey.png")
    Image.fromarray(deep[..., 0]).save("in/grey.tif")
    assert command("--model=bicubic", "--scale=2", "--input=in", "--out=out", "--json=r.json") == 0
    for name, expected in (
        ("colour.png", upscale(rgb, 2)),
        ("grey.png", upscale(rgb[..., 0], 2)),
        ("grey.tif", upscale(rgb[..., 0], 2)),
    ):
        np.testing.assert_array_equal(np.asarray(Image.open(f"out/{name}")), expected)
    assert capsys.readouterr().out.count("16 bits per channel became 8") == 3
    for entry in json.loads(Path("r.json").read_text())["files"]:
        assert entry["notes"] == ["16 bits per channel became 8"]


def test_exif_that_cannot_be_read_is_left_out_with_a_note(rgb, capsys, monkeypatch):
    Image.fromarray(rgb).save("in/a.png", exif=exif())

    def fail(self, tag):
        raise struct.error("unpack requires a buffer of 4 bytes")

    monkeypatch.setattr(Image.Exif, "get_ifd", fail)
    result = enlarged("in/a.png")
    assert "its EXIF data cannot be read (unpack requires" in capsys.readouterr().out
    assert MODEL not in result.getexif()


def test_png_on_request(rgb):
    Image.fromarray(rgb).save("in/a.jpg", exif=exif(base={ORIENTATION: 6}))
    Image.fromarray(rgb).save("in/b.bmp")
    assert command("--model=bicubic", "--input=in", "--out=out", "--format=png") == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png"]
    with Image.open("out/a.png") as result:
        assert (result.format, result.size) == ("PNG", (80, 112))
        assert result.getexif()[MODEL] == "Camera 1"


# --- What is read, and where it is written -------------------------------------------------------


def test_files_folders_and_patterns(rgb):
    for name in ("in/a.png", "in/b.png", "in/deep/x/a.png", "in/deep/y/a.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(name)
    Path("in/deep/notes.txt").write_text("no picture")
    arguments = ("--input=in", "--input=in/deep/**/*", "--input=in/a.png")
    assert command("--model=bicubic", *arguments, "--out=out", "--json=report.json") == 0
    found = sorted(str(path) for path in Path("out").rglob("*.*"))
    assert found == ["out/a.png", "out/b.png", "out/x/a.png", "out/y/a.png"]
    report = json.loads(Path("report.json").read_text())
    assert (report["model"], report["scale"], report["failed"]) == ("bicubic", 4, 0)
    assert [entry["input"] for entry in report["files"]] == [
        "in/a.png", "in/b.png", "in/deep/x/a.png", "in/deep/y/a.png",
    ]  # fmt: skip
    first = report["files"][0]
    assert first["output"] == "out/a.png"
    assert (first["input_size"], first["output_size"]) == ([20, 28], [80, 112])
    assert first["seconds"] >= 0


def test_one_stem_twice_makes_two_files(rgb):
    for index, name in enumerate(("in/a.bmp", "in/a.png", "in/A.tif", "in/a_png.png")):
        Image.fromarray(rgb // (index + 1)).save(name)
    Path("other").mkdir()
    Image.fromarray(rgb // 5).save("other/a.png")
    arguments = ("--input=in", "--input=other", "--out=out", "--format=png", "--json=r.json")
    assert command("--model=bicubic", "--scale=2", *arguments) == 0
    outputs = [entry["output"] for entry in json.loads(Path("r.json").read_text())["files"]]
    assert len({output.casefold() for output in outputs}) == 5
    inputs = [entry["input"] for entry in json.loads(Path("r.json").read_text())["files"]]
    for source, output in zip(inputs, outputs, strict=True):
        expected = upscale(np.asarray(Image.open(source)), 2)
        np.testing.assert_array_equal(np.asarray(Image.open(output)), expected)


def test_inputs_are_never_overwritten(rgb, capsys):
    Image.fromarray(rgb).save("in/a.png")
    before = Path("in/a.png").read_bytes()
    Path("linked").symlink_to("in")
    Path("hard").mkdir()
    Path("hard/a.png").hardlink_to("in/a.png")
    replace = ("--model=bicubic", "--existing=overwrite")
    for source, out in (("in", "in"), ("in", "linked"), ("in/*.png", "in")):
        assert command(*replace, f"--input={source}", f"--out={out}") == 1
        assert f"{out} is the folder of the inputs" in capsys.readouterr().err
    for source, out in (("in", "hard"), ("in/a.png", "in")):
        assert command(*replace, f"--input={source}", f"--out={out}") == 1
        assert "is itself one of the inputs; choose another --out" in capsys.readouterr().err
    assert Path("in/a.png").read_bytes() == before
    assert len(list(Path("in").iterdir())) == 1


def test_what_to_do_with_results_that_exist(rgb, capsys):
    for name in "ab":
        Image.fromarray(rgb).save(f"in/{name}.png")
    Path("out").mkdir()
    Path("out/a.png").write_bytes(b"precious")
    arguments = ("--model=bicubic", "--input=in", "--out=out", "--json=r.json")
    assert command(*arguments) == 1
    assert "in/a.png: out/a.png exists; give --existing skip" in capsys.readouterr().err
    assert command(*arguments, "--existing=skip") == 0
    assert capsys.readouterr().out.count("exists, skipped") == 2
    assert json.loads(Path("r.json").read_text())["skipped"] == 2
    assert Path("out/a.png").read_bytes() == b"precious"
    assert command(*arguments, "--overwrite") == 0  # its name until version 0.2
    assert "--overwrite is now --existing=overwrite" in capsys.readouterr().err
    assert Image.open("out/a.png").size == (112, 80)


def test_a_pattern_that_the_shell_has_expanded(rgb):
    for name in "abc":
        Image.fromarray(rgb).save(f"in/{name}.png")
    assert command("--model=bicubic", "--out=out", "--input", "in/a.png", "in/b.png") == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png"]


def test_home(rgb, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Image.fromarray(rgb).save("in/a.png")
    assert command("--model=bicubic", "--input=in", "--out=~/x", "--json", "~/r.json") == 0
    assert Path("home/x/a.png").exists()
    assert Path("home/r.json").exists()
    assert not Path("~").exists()


def test_results_below_the_inputs_are_no_inputs(rgb, capsys):
    Path("in/deep").mkdir()
    Image.fromarray(rgb).save("in/deep/a.png")
    arguments = ("--model=bicubic", "--input=in/**/*.png", "--out=in/large", "--json=r.json")
    for existing in ("error", "overwrite"):
        assert command(*arguments, f"--existing={existing}") == 0
        assert [path.name for path in Path("in/large").rglob("*.png")] == ["a.png"]
    assert "left out, results in --out: in/large/deep/a.png" in capsys.readouterr().err
    report = json.loads(Path("r.json").read_text())
    assert report["results_left_out"] == ["in/large/deep/a.png"]
    assert len(report["files"]) == 1


def test_what_is_left_out_of_a_folder_is_named(rgb, capsys):
    Image.fromarray(rgb).save("in/a.png")
    for name in ("b.heic", "notes.txt", ".hidden"):
        Path("in", name).write_bytes(b"?")
    assert command("--model=bicubic", "--input=in", "--out=out", "--json=r.json") == 0
    error = capsys.readouterr().err
    assert error == "left out, not pictures by name: in/b.heic, in/notes.txt\n"
    assert json.loads(Path("r.json").read_text())["left_out"] == ["in/b.heic", "in/notes.txt"]


# --- Broken pictures -----------------------------------------------------------------------------


def test_broken_files_are_reported_and_the_others_done(rgb, capsys):
    Image.fromarray(rgb).save("in/a.png")
    Image.fromarray(rgb).save("in/z.png")
    whole = Path("in/a.png").read_bytes()
    Path("in/b_truncated.png").write_bytes(whole[: len(whole) // 2])
    Path("in/c_empty.png").write_bytes(b"")
    Path("in/d_text.jpg").write_text("hello")
    Image.fromarray(rgb).convert("CMYK").save("in/e_print.jpg")
    Image.fromarray(rgb).convert("F").save("in/f_float.tif")
    frames = [Image.fromarray(rgb), Image.fromarray(rgb[::-1])]
    frames[0].save("in/g_frames.webp", save_all=True, append_images=frames[1:])
    Image.fromarray(np.dstack([rgb, rgb[..., 0]])).save("in/h_alpha.png")
    Path("in/h_alpha.png").rename("in/h_alpha.jpg")
    assert command("--model=bicubic", "--input=in", "--out=out", "--json=r.json") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "upscale.py: 7 of 9 images could not be upscaled"
    expected = {
        "in/b_truncated.png": "truncated or corrupt",
        "in/c_empty.png": "the file is empty",
        "in/d_text.jpg": "not a picture in a known format",
        "in/e_print.jpg": "unsupported pixel mode 'CMYK'; convert it to RGB or greyscale",
        "in/f_float.tif": "unsupported pixel mode 'F'",
        "in/g_frames.webp": "an animation or several pages",
        "in/h_alpha.jpg": ".jpg cannot hold an alpha channel; write it as PNG",
    }
    assert len(lines) == len(expected) + 1
    for line, (name, message) in zip(lines, expected.items(), strict=False):
        assert line.startswith(f"{name}: ")
        assert message in line
    report = json.loads(Path("r.json").read_text())
    assert report["failed"] == 7
    errors = {entry["input"]: entry["error"] for entry in report["files"] if "error" in entry}
    assert list(errors) == list(expected)
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "z.png"]


def test_nothing_is_left_of_a_result_that_cannot_be_written(rgb, capsys, monkeypatch):
    Image.fromarray(rgb).save("in/a.png")
    Image.fromarray(rgb).save("in/b.png")
    from pams_tf import files

    replace = files.os.replace

    def full(source, target):
        if str(target).endswith("a.png"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", full)
    assert command("--model=bicubic", "--input=in", "--out=out") == 1
    assert "in/a.png: cannot write out/a.png: No space left" in capsys.readouterr().err
    assert [path.name for path in Path("out").iterdir()] == ["b.png"]


def test_too_little_memory_is_one_pictures_matter(rgb, capsys, monkeypatch):
    from pams_tf.evaluation import batch

    Image.fromarray(rgb).save("in/a.png")
    Image.fromarray(rgb[:10]).save("in/b.png")
    whole = batch.upscale_picture

    def hungry(picture, *rest):
        if picture.rgb.shape[0] > 10:
            raise MemoryError
        return whole(picture, *rest)

    monkeypatch.setattr(batch, "upscale_picture", hungry)
    assert command("--model=bicubic", "--input=in", "--out=out") == 1
    assert "in/a.png: too large for this machine's memory" in capsys.readouterr().err
    assert [path.name for path in Path("out").iterdir()] == ["b.png"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--model=bicubic", "--input=in/none.png"), 1, "in/none.png: no such file or folder"),
        (("--model=bicubic", "--input=in/*.png"), 1, "in/*.png: matches no picture"),
        (("--model=bicubic", "--input=in"), 1, "in: no images in it"),
        (
            ("--model=EDSR", "--input=one.png"),
            1,
            "'EDSR' does not exist; give a .keras",
        ),
        (("--model=none.tflite", "--input=one.png"), 1, "none.tflite: cannot be read"),
        (("--model=bicubic", "--input=one.png", "--out=one.png"), 1, "cannot write"),
        (("--model=bicubic", "--input=one.png", "--scale=1"), 2, "scale"),
        (("--model=bicubic", "--input=one.png", "--halo=-1"), 2, "halo"),
        (("--model=bicubic", "--input=one.png", "--format=gif"), 2, "format"),
        (("--model=bicubic", "--input=one.png", "--existing=keep"), 2, "existing"),
        (("--model=bicubic",), 2, "input"),
        (("--input=one.png",), 2, "model"),
    ],
)
def test_what_the_user_got_wrong_is_said_in_one_line(rgb, arguments, status, message, capsys):
    Image.fromarray(rgb).save("one.png")
    assert command("--out=out", *arguments) == status
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


# --- With a model, and as a program --------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    """A float32 file for 16x16 pixels: blurs over 3x3, then x2; radius 1."""
    import tensorflow as tf

    kernel = np.tile(np.eye(3, dtype=np.float32) / 9, (3, 3, 1, 1)).repeat(4, axis=3)
    kernel = kernel[..., [0, 4, 8] * 4]

    @tf.function(input_signature=[tf.TensorSpec((1, 16, 16, 3), tf.float32)])
    def forward(x):
        return tf.nn.depth_to_space(tf.nn.conv2d(x, kernel, 1, "SAME"), 2)

    concrete = forward.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()).convert()


def blurred(image):
    """What the model does, in NumPy; zeros beyond the border."""
    padded = np.pad(image.astype(float), ((1, 1), (1, 1), (0, 0)))
    total = sum(
        padded[i : i + image.shape[0], j : j + image.shape[1]] for i in range(3) for j in range(3)
    )
    return np.rint(total / 9).repeat(2, 0).repeat(2, 1)


def test_a_tflite_file_on_pictures_larger_and_smaller_than_it(rgb, model, capsys):
    Path("net.tflite").write_bytes(model)
    Image.fromarray(rgb).save("in/larger.png")
    Image.fromarray(rgb[:9, :5]).save("in/smaller.png")
    Image.fromarray(rgb[..., 0]).save("in/grey.png")
    arguments = ("--model=net.tflite", "--input=in", "--json=r.json", "--threads=1")
    assert command(*arguments, "--out=out") == 0
    grey = rgb[..., :1].repeat(3, axis=2)
    for name, image in (("larger", rgb), ("smaller", rgb[:9, :5]), ("grey", grey)):
        result = np.asarray(Image.open(f"out/{name}.png").convert("RGB"))
        assert np.abs(result - blurred(image)).max() <= 1  # a tie of float32 may fall either way
    report = json.loads(Path("r.json").read_text())
    assert (report["scale"], report["halo"]) == (2, 1)
    assert command(*arguments, "--out=out_4", "--scale=4") == 1
    assert "net.tflite upscales x2, not x4" in capsys.readouterr().err
    # A halo that leaves nothing of 16 pixels, where tiles are needed.
    assert command(*arguments, "--out=out_5", "--halo=5") == 1
    error = capsys.readouterr().err.splitlines()
    assert error[0].startswith("in/grey.png: net.tflite takes 16x16, too small for tiles")
    assert len(error) == 3
    assert [path.name for path in Path("out_5").iterdir()] == ["smaller.png"]


def test_as_a_program(rgb):
    Image.fromarray(rgb).save("in/a.png")
    Path("in/b.png").write_bytes(b"")
    result = program(capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stdout.startswith("out/a.png: 20x28 -> 80x112, ")
    assert result.stdout.count("\n") == 1
    assert result.stderr.splitlines()[-2:] == [
        "in/b.png: the file is empty; copy or download it again",
        "upscale.py: 1 of 2 images could not be upscaled",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders there")
def test_links_to_nothing_and_pipes_are_one_pictures_matter(rgb, capsys):
    Image.fromarray(rgb).save("in/a.png")
    Path("in/b.png").symlink_to("nowhere.png")
    os.mkfifo("in/c.png")
    Image.fromarray(rgb).save("in/d.png")
    assert command("--model=bicubic", "--input=in", "--out=out") == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith("in/b.png: cannot be read (No such file")
    assert errors[1].startswith("in/c.png: a pipe or device; give")
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "d.png"]


def test_a_file_too_large_for_a_picture_is_not_read(rgb, capsys):
    Image.fromarray(rgb).save("in/a.png")
    os.truncate("in/a.png", 2**33)  # sparse: it takes no space
    assert command("--model=bicubic", "--input=in", "--out=out") == 1
    assert "in/a.png: 8,589,934,592 bytes" in capsys.readouterr().err


def test_a_name_beyond_the_terminals_encoding(rgb):
    Image.fromarray(rgb).save("in/gr\u00fcn\u6f22.png")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = program(capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("out/gr\\xfcn\\u6f22.png: ")
    assert Path("out/gr\u00fcn\u6f22.png").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="such names do not exist there")
def test_a_name_that_a_terminal_would_obey(rgb, capsys):
    Image.fromarray(rgb).save("in/\x1b[31ma.png")
    Path("in/\x1b[31mb.png").write_bytes(b"")
    Path("in/\x1b[31mc.txt").write_bytes(b"")
    assert command("--model=bicubic", "--input=in", "--out=out") == 1
    shown = capsys.readouterr()
    assert shown.out.startswith(r"out/\x1b[31ma.png: 20x28 -> 80x112")
    assert r"in/\x1b[31mb.png: the file is empty" in shown.err
    assert "\x1b" not in shown.out + shown.err


def test_a_long_name(rgb):
    name = "n" * 251 + ".png"  # 255 bytes, the most that common file systems take
    Image.fromarray(rgb).save(f"in/{name}")
    assert command("--model=bicubic", "--input=in", "--out=out") == 0
    assert [path.name for path in Path("out").iterdir()] == [name]


def test_the_work_goes_on_when_nobody_reads(rgb):
    for name in "abc":
        Image.fromarray(rgb).save(f"in/{name}.png")
    read, write = os.pipe()
    os.close(read)
    result = program(stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(list(Path("out").iterdir())) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's way to close a stream")
@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_closed_stream(rgb, closed):
    Image.fromarray(rgb).save("in/a.png")
    tool = Path(__file__).parents[2] / "tools" / "upscale.py"
    line = f"'{sys.executable}' '{tool}' --model=edsr_mobile_x2 --input=in --out=out {closed}"
    assert subprocess.run(line, shell=True, check=False).returncode == 0
    assert len(list(Path("out").iterdir())) == 1


# --- Reading and writing by themselves -----------------------------------------------------------


def test_round_trip(rgb, tmp_path):
    rgba = np.dstack([rgb, rgb[..., 2]])
    Image.fromarray(rgba).save("in/a.png", exif=exif(), icc_profile=b"profile")
    picture = read_picture("in/a.png")
    write_picture("again.png", picture)
    again = read_picture("again.png")
    np.testing.assert_array_equal(again.rgb, rgb)
    np.testing.assert_array_equal(again.alpha, rgb[..., 2])
    assert (again.metadata, again.grey) == (picture.metadata, False)
    assert again.metadata.icc == b"profile"


def test_formats_that_cannot_hold_a_picture(rgb):
    picture = read_picture_of(rgb)
    with pytest.raises(InputError, match=r"a\.gif: not an image file name"):
        write_picture("a.gif", picture)
    wide = picture.with_pixels(np.zeros((1, 16384, 3), np.uint8), None)
    with pytest.raises(InputError, match=r"\.webp is limited to 16383 pixels per side.*1x16384"):
        write_picture("a.webp", wide)
    with pytest.raises(InputError, match=r"\.bmp cannot hold an alpha"):
        write_picture("a.bmp", picture.with_pixels(rgb, rgb[..., 0]))
    assert not list(Path().glob("a.*"))
    write_picture("a.bmp", picture.with_pixels(rgb, np.full(rgb.shape[:2], 255, np.uint8)))
    np.testing.assert_array_equal(np.asarray(Image.open("a.bmp")), rgb)


def read_picture_of(rgb):
    Image.fromarray(rgb).save("in/a.png")
    return read_picture("in/a.png")


def test_patterns_keep_the_path_below_their_fixed_part(rgb, tmp_path):
    for name in ("in/x/1.png", "in/x/y/2.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(name)
    # A file whose name only looks like a pattern is a file.
    Image.fromarray(rgb).save("in/photo [1].png")
    found = find_pictures(
        ["in/**/[0-9].png", str(tmp_path / "in" / "x" / "*.png"), "in/photo [1].png"]
    )
    assert {str(below) for _, below in found.pictures} == {
        "x/1.png",
        "x/y/2.png",
        "1.png",
        "photo [1].png",
    }
