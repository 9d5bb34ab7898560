"""Batches: pure functions of (seed, step), crops that lie over each other, fair epochs."""

import dataclasses

import numpy as np
import pytest

from pams_tf.data import colour
from pams_tf.data.datasets import folder, sample
from pams_tf.data.graphics import Graphics
from pams_tf.data.images import write_image
from pams_tf.data.packed import pack
from pams_tf.data.patches import training_batch, training_crops
from pams_tf.data.pipeline import training_dataset
from pams_tf.data.resize import downscale
from pams_tf.errors import InputError


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return pack(sample(4, "valid"), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """Eight flat images; image i has the grey value 10 * i."""
    root = tmp_path_factory.mktemp("numbered")
    for i in range(8):
        write_image(root / "images" / f"{i}.png", np.full((16 + i, 24, 3), 10 * i, np.uint8))
    return pack(folder(root / "images", 2), root / "cache")


def drawn(packed, steps, **options):
    """Which image each crop of the numbered set comes from."""
    batches = [training_batch(packed, step=step, patch_size=4, **options) for step in steps]
    return np.concatenate([lr[:, 0, 0, 0] / 10 for lr, _ in batches]).astype(int)


SMALL = {"batch_size": 4, "patch_size": 16}


def test_shapes_and_range(photographs):
    lr, hr = training_batch(photographs, seed=0, step=0, **SMALL)
    assert lr.shape == (4, 16, 16, 3)
    assert hr.shape == (4, 64, 64, 3)
    assert lr.dtype == hr.dtype == np.float32
    assert lr.min() >= 0
    assert 200 < hr.max() <= 255  # not scaled to 1


def test_is_a_pure_function(photographs):
    first = training_batch(photographs, seed=3, step=7, **SMALL)
    training_batch(photographs, seed=4, step=1, **SMALL)
    np.random.default_rng().random()
    again = training_batch(photographs, seed=3, step=7, **SMALL)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("other", [{"seed": 4, "step": 7}, {"seed": 3, "step": 8}])
def test_other_seeds_and_steps_differ(photographs, other):
    first, _ = training_batch(photographs, seed=3, step=7, **SMALL)
    second, _ = training_batch(photographs, **other, **SMALL)
    assert (first != second).mean() > 0.5


@pytest.mark.parametrize("augment", [False, True])
def test_lr_and_hr_lie_over_each_other(photographs, augment):
    """Reducing an HR crop gives the LR crop, but for the border that sees other neighbours.

    x4 reduction reads 8 HR pixels to each side of a pixel's centre: two LR pixels of border.
    """
    options = {"batch_size": 16, "patch_size": 16, "augment": augment}
    for step in range(2):
        for lr, hr in zip(*training_batch(photographs, seed=1, step=step, **options), strict=True):
            reduced = downscale(hr.astype(np.uint8), 4).astype(int)
            inside = (slice(2, -2), slice(2, -2))
            # One code: the order of summation, where a value ends in .5.
            assert np.abs(reduced[inside] - lr[inside]).max() <= 1
            assert (reduced[inside] == lr[inside]).mean() > 0.99


def test_without_augmentation_crops_are_pieces_of_the_image(numbered, tmp_path):
    rows, columns = np.mgrid[0:20, 0:30]
    image = np.stack([rows * 10, columns * 8, rows * 0], axis=-1).astype(np.uint8)
    write_image(tmp_path / "images" / "a.png", image)
    packed = pack(folder(tmp_path / "images", 2), tmp_path / "cache")
    tops, lefts = set(), set()
    for step in range(20):
        _, hr = training_batch(packed, seed=0, step=step, batch_size=8, patch_size=8, augment=False)
        for crop in hr:
            top, left = int(crop[0, 0, 0] / 10), int(crop[0, 0, 1] / 8)
            np.testing.assert_array_equal(crop, image[top : top + 16, left : left + 16])
            tops.add(top)
            lefts.add(left)
    assert tops == {0, 2, 4}  # every position an LR crop can have, to the very last
    assert lefts == {0, 2, 4, 6, 8, 10, 12, 14}


def test_augmentation_gives_all_eight_positions(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    write_image(tmp_path / "images" / "a.png", image)
    packed = pack(folder(tmp_path / "images", 2), tmp_path / "cache")
    eight = {
        np.rot90(flipped, turns).tobytes() for flipped in (image, image[::-1]) for turns in range(4)
    }
    assert len(eight) == 8
    _, hr = training_batch(packed, seed=0, step=0, batch_size=200, patch_size=4)
    seen = [crop.astype(np.uint8).tobytes() for crop in hr]
    assert set(seen) == eight
    assert min(seen.count(position) for position in eight) > 10
    _, hr = training_batch(packed, seed=0, step=0, batch_size=20, patch_size=4, augment=False)
    assert (hr == image).all()


@pytest.mark.parametrize("batch_size", [1, 3, 4, 8, 16, 20])
def test_every_image_once_an_epoch(numbered, batch_size):
    order = drawn(numbered, range(-(-40 // batch_size)), seed=5, batch_size=batch_size)[:40]
    for epoch in order.reshape(5, 8):
        assert sorted(epoch) == list(range(8))
    assert len({tuple(epoch) for epoch in order.reshape(5, 8)}) > 1


def test_the_order_depends_on_the_seed(numbered):
    first = drawn(numbered, range(4), seed=0, batch_size=8)
    second = drawn(numbered, range(4), seed=1, batch_size=8)
    assert (first != second).any()


def test_the_dataset_is_the_function(numbered):
    options = {"batch_size": 6, "patch_size": 5}
    dataset = training_dataset(numbered, seed=2, start_step=0, **options)
    assert dataset.element_spec[0].shape == (6, 5, 5, 3)
    assert dataset.element_spec[1].shape == (6, 10, 10, 3)
    for step, (lr, hr) in enumerate(dataset.take(12).as_numpy_iterator()):
        expected = training_batch(numbered, seed=2, step=step, **options)
        np.testing.assert_array_equal(lr, expected[0])
        np.testing.assert_array_equal(hr, expected[1])
    assert step == 11


@pytest.mark.parametrize("channels", [3, 1])
def test_parts_are_those_of_the_whole_batch(photographs, channels):
    packed = dataclasses.replace(photographs, graphics=Graphics(0.5, photographs.scale, 12))
    options = {"seed": 2, "batch_size": 6, "patch_size": 12}
    parts = [range(2, 4), range(4, 6)]
    dataset = training_dataset(packed, start_step=3, parts=parts, channels=channels, **options)
    for place, (lr, hr) in enumerate(dataset.take(6).as_numpy_iterator()):
        step, part = 3 + place // 2, parts[place % 2]
        crops = [
            whole[part.start : part.stop] for whole in training_crops(packed, step=step, **options)
        ]
        if channels == 1:
            low, high = (colour.luma(images)[..., None] for images in crops)
            crops = [np.rint(low), high.astype(np.float32)]
        np.testing.assert_array_equal(lr, crops[0])
        np.testing.assert_array_equal(hr, crops[1])
    assert place == 5


def test_starting_late_is_going_on(photographs):
    options = {"seed": 2, "batch_size": 2, "patch_size": 12}
    whole = training_dataset(photographs, start_step=0, **options)
    late = training_dataset(photographs, start_step=3, **options)
    pairs = zip(
        whole.skip(3).take(4).as_numpy_iterator(), late.take(4).as_numpy_iterator(), strict=True
    )
    for a, b in pairs:
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_a_patch_larger_than_an_image(numbered):
    with pytest.raises(InputError, match=r"0\.png: 16x24 pixels, smaller than the crop of 18"):
        training_dataset(numbered, seed=0, start_step=0, batch_size=4, patch_size=9)
