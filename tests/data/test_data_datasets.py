"""Each layout of a data set, with and without LR images."""

import re

import numpy as np
import pytest

from pams_tf.data import datasets
from pams_tf.data.images import read_image, write_image
from pams_tf.data.resize import downscale
from pams_tf.errors import InputError


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("scale", datasets.SCALES)
def test_a_folder_makes_lr_itself(tmp_path, scale):
    write_image(tmp_path / "b.png", picture(26, 31, 1))
    write_image(tmp_path / "a.png", picture(13, 17, 2))
    pairs = datasets.folder(tmp_path, scale)
    assert (len(pairs), pairs.names, pairs.scale) == (2, ("a", "b"), scale)
    lr, hr = pairs.load(1)
    height, width = 26 // scale, 31 // scale
    np.testing.assert_array_equal(hr, picture(26, 31, 1)[: height * scale, : width * scale])
    np.testing.assert_array_equal(lr, downscale(hr, scale))
    assert lr.shape == (height, width, 3)


def test_benchmark_reads_lr_where_it_is(tmp_path):
    root = tmp_path / "Set5"
    write_image(root / "HR" / "baby.png", picture(17, 22))
    write_image(root / "HR" / "bird.jpg", picture(16, 16))
    stored = picture(4, 5, 9)  # not what bicubic would give
    write_image(root / "LR_bicubic" / "X4" / "babyx4.png", stored)
    pairs = datasets.benchmark(tmp_path, "Set5", 4)
    assert (pairs.name, pairs.names) == ("Set5", ("baby", "bird"))
    lr, hr = pairs.load(0)
    np.testing.assert_array_equal(lr, stored)
    np.testing.assert_array_equal(hr, picture(17, 22)[:16, :20])
    lr, hr = pairs.load(1)
    np.testing.assert_array_equal(lr, downscale(read_image(root / "HR" / "bird.jpg"), 4))
    # Another scale has no LR files here.
    assert datasets.benchmark(tmp_path, "Set5", 2).lr == (None, None)


def test_a_missing_benchmark_names_those_there(tmp_path):
    for name in ("Set5", "B100"):
        write_image(tmp_path / name / "HR" / "a.png", picture(8, 8))
    with pytest.raises(InputError, match=r"no benchmark 'Set14'.*B100, Set5"):
        datasets.benchmark(tmp_path, "Set14", 2)
    with pytest.raises(InputError, match="no benchmark 'Set5'"):
        datasets.benchmark(tmp_path / "none", "Set5", 2)


@pytest.mark.parametrize("split", ["train", "valid"])
def test_div2k(tmp_path, split):
    write_image(tmp_path / f"DIV2K_{split}_HR" / "0001.png", picture(12, 24))
    stored = picture(4, 8, 9)
    write_image(tmp_path / f"DIV2K_{split}_LR_bicubic" / "X3" / "0001x3.png", stored)
    pairs = datasets.div2k(tmp_path, 3, split)
    np.testing.assert_array_equal(pairs.load(0)[0], stored)
    other = {"train": "valid", "valid": "train"}[split]
    with pytest.raises(InputError, match=f"DIV2K_{other}_HR"):
        datasets.div2k(tmp_path, 3, other)


@pytest.mark.parametrize("size", [(4, 6), (5, 5), (8, 10)])
def test_sizes_that_do_not_match(tmp_path, size):
    hr, lr = tmp_path / "S" / "HR" / "a.png", tmp_path / "S" / "LR_bicubic" / "X2" / "ax2.png"
    write_image(hr, picture(9, 11))  # cropped: 8x10, so LR must be 4x5
    write_image(lr, picture(*size))
    with pytest.raises(InputError) as caught:
        datasets.benchmark(tmp_path, "S", 2).load(0)
    message = str(caught.value)
    assert str(hr) in message
    assert str(lr) in message
    assert f"{size[0]}x{size[1]}" in message
    assert "8x10" in message
    assert "4x5" in message


def test_an_image_below_one_lr_pixel(tmp_path):
    write_image(tmp_path / "tiny.png", picture(3, 40))
    with pytest.raises(InputError, match=r"tiny\.png"):
        datasets.folder(tmp_path, 4).load(0)


@pytest.mark.parametrize("scale", [0, 1, 5, 8])
def test_scales_that_are_not_there(tmp_path, scale):
    write_image(tmp_path / "a.png", picture(16, 16))
    with pytest.raises(InputError, match=f"scale={scale}.*2, 3, 4"):
        datasets.folder(tmp_path, scale)
    with pytest.raises(InputError, match=f"scale={scale}"):
        datasets.sample(scale)


def test_find_recognises_layouts(tmp_path):
    write_image(tmp_path / "data" / "DIV2K_valid_HR" / "0801.png", picture(8, 8))
    assert datasets.find(tmp_path / "data", 2).names == ("0801",)
    write_image(tmp_path / "data" / "DIV2K_train_HR" / "0001.png", picture(8, 8))
    assert datasets.find(tmp_path / "data", 2).names == ("0001",)
    write_image(tmp_path / "benchmark" / "Set5" / "HR" / "baby.png", picture(8, 8))
    found = datasets.find(tmp_path / "benchmark" / "Set5", 2)
    assert (found.name, found.names) == ("Set5", ("baby",))
    write_image(tmp_path / "plain" / "x.png", picture(8, 8))
    assert datasets.find(tmp_path / "plain", 2).names == ("x",)


def test_find_of_what_is_nothing(tmp_path):
    for name in ("Set5", "B100"):
        write_image(tmp_path / name / "HR" / "a.png", picture(8, 8))
    with pytest.raises(InputError, match="B100, Set5; give the folder of one"):
        datasets.find(tmp_path, 2)
    with pytest.raises(InputError, match="no such folder"):
        datasets.find(tmp_path / "none", 2)


def test_sample_splits_do_not_overlap():
    train, valid = datasets.sample(4, "train"), datasets.sample(4, "valid")
    assert valid.names == ("astronaut", "chelsea", "coffee")
    assert len(train) >= 5
    assert not set(train.names) & set(valid.names)
    with pytest.raises(InputError, match=re.escape("split='test'")):
        datasets.sample(4, "test")
    with pytest.raises(InputError, match=re.escape("split='test'")):
        datasets.div2k(".", 4, "test")


def test_sample_takes_the_papers_patch_and_has_its_licences():
    for split in datasets.SPLITS:
        pairs = datasets.sample(4, split)
        for index, path in enumerate(pairs.hr):
            lr, _ = pairs.load(index)
            assert min(lr.shape[:2]) >= 48
            assert f"| {path.name} |" in (datasets.SAMPLE / "LICENSES.md").read_text()
    size = sum(path.stat().st_size for path in datasets.SAMPLE.iterdir())
    assert size < 3_000_000


@pytest.mark.parametrize(
    "name",
    [
        "LR_bicubic/X4/ax4.png",
        "LR_bicubic/X4/ax4.PNG",
        "LR_bicubic/X4/ax4.jpg",
        "LR_bicubic/x4/ax4.png",
        "LR_bicubic/X4/a.png",
        "LR_bicubic/X4/a_bicLRx4.png",
        "LR_bicubic/X4/aX4.png",
        "LR_bicubic/a_x4.png",
        "LR/X4/a.png",
        "LR/a_LRBI_x4.png",
        "LRbicx4/a.png",
    ],
)
def test_the_common_namings_of_lr_files(tmp_path, name):
    root = tmp_path / "Set5"
    write_image(root / "HR" / "a.png", picture(16, 16))
    write_image(root / "HR" / "b.png", picture(16, 16))
    (root / name).parent.mkdir(parents=True)
    write_image(root / name, picture(4, 4, 9))
    pairs = datasets.benchmark(tmp_path, "Set5", 4)
    assert pairs.lr == (root / name, None)
    assert pairs.lr_summary == "LR: 1 found, 1 made by bicubic"
    assert datasets.benchmark(tmp_path, "Set5", 2).lr_found in (0, 1)


def test_hr_in_the_names_of_hr_files(tmp_path):
    root = tmp_path / "Urban100"
    write_image(root / "HR" / "img_001_SRF_4_HR.png", picture(16, 16))
    lr = root / "LR" / "img_001_SRF_4_LR.png"
    write_image(lr, picture(4, 4))
    assert datasets.benchmark(tmp_path, "Urban100", 4).lr == (lr,)


def test_lr_files_of_another_scale_are_no_fault(tmp_path):
    root = tmp_path / "S"
    write_image(root / "HR" / "a.png", picture(16, 16))
    for scale in (2, 3):
        write_image(root / "LR" / f"ax{scale}.png", picture(16 // scale, 16 // scale))
    assert datasets.benchmark(tmp_path, "S", 4).lr == (None,)
    assert datasets.benchmark(tmp_path, "S", 2).lr == (root / "LR" / "ax2.png",)


@pytest.mark.parametrize(
    ("hr", "lr", "message"),
    [
        (["a.png"], ["other.png", "names.png"], "none of its 2 pictures fits an HR image.*ax4.png"),
        (["a.png"], ["a.png", "ax4.png"], "could both be its LR image"),
        (["a.png", "a.jpg"], ["ax4.png"], "could be the LR image of .*a.jpg and of .*a.png"),
    ],
)
def test_lr_files_that_do_not_fit(tmp_path, hr, lr, message):
    for name in hr:
        write_image(tmp_path / "S" / "HR" / name, picture(16, 16))
    for name in lr:
        write_image(tmp_path / "S" / "LR_bicubic" / "X4" / name, picture(4, 4))
    with pytest.raises(InputError, match=message):
        datasets.benchmark(tmp_path, "S", 4)


def test_files_of_one_stem_have_names_of_their_own(tmp_path):
    for name in ("a.png", "a.jpg", "A.bmp", "b.png", "a_png.png"):
        write_image(tmp_path / name, picture(8, 8))
    names = datasets.folder(tmp_path, 2).names
    assert set(names) == {"a_png", "a_jpg", "A_bmp", "b", "a_png_2"}
