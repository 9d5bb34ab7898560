"""Drawn pictures: reproducible, varied, true pairs, and in their share of the batches."""

import itertools

import numpy as np
import pytest

from pams_tf.data.calibration import packed_images
from pams_tf.data.graphics import CHART_LEVELS, CHART_SIDE, KINDS, Graphics, colour_chart, draw
from pams_tf.data.patches import training_batch
from pams_tf.data.resize import downscale
from pams_tf.errors import InputError


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_a_function_of_its_seed(kind):
    pictures = [draw(np.random.default_rng(seed), 40, kind) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()
    assert (pictures[0].shape, pictures[0].dtype) == ((40, 40, 3), np.uint8)
    colours = len(np.unique(pictures[0].reshape(-1, 3), axis=0))
    assert colours == 1 if kind == "flat" else colours > 3


def test_the_chart_holds_flat_patches_of_every_colour():
    chart = colour_chart()
    cells = chart.reshape(chart.shape[0] // CHART_SIDE, CHART_SIDE, -1, CHART_SIDE, 3)
    assert (cells == cells[:, :1, :, :1]).all()
    shown = {tuple(map(int, colour)) for colour in cells[:, 0, :, 0].reshape(-1, 3)}
    assert shown == set(itertools.product(CHART_LEVELS, repeat=3))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_crops_are_pairs(scale):
    """The LR crop is the HR crop made smaller, up to what lies beyond the crop."""
    graphics, rng = Graphics(0.5, scale, 24), np.random.default_rng(3)
    for _ in range(20):
        lr, hr = graphics.crop(rng, 24)
        assert (lr.shape, hr.shape) == ((24, 24, 3), (24 * scale, 24 * scale, 3))
        inside = np.s_[4:-4, 4:-4]
        # An inverted channel is rounded the other way.
        assert np.abs(lr[inside].astype(int) - downscale(hr, scale)[inside]).max() <= 1


def test_their_share_of_a_batch():
    options = {"seed": 4, "batch_size": 400, "patch_size": 8, "augment": False}
    plain = training_batch(packed_images(None, 4, 8), step=0, **options)
    packed = packed_images(None, 4, 8, graphics=0.25)
    mixed, again = (training_batch(packed, step=0, **options) for _ in range(2))
    np.testing.assert_array_equal(mixed[1], again[1])
    flat = [(lr == lr[:, :1, :1]).all(axis=(1, 2, 3)).sum() for lr, _ in (plain, mixed)]
    assert flat[0] < 10
    assert 12 <= flat[1] - flat[0] <= 60  # of 100, a fifth and parts of others


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_shares_that_are_none(share):
    with pytest.raises(InputError, match=f"graphics={share}"):
        packed_images(None, 4, 8, graphics=share)
