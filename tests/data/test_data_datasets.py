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
