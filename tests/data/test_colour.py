"""Luma and chroma against Pillow-independent constants of BT.601, and there and back."""

import numpy as np
import pytest

from pams_tf import InputError
from pams_tf.data import colour


def test_primaries_have_the_chroma_of_bt601():
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]]], np.uint8)
    np.testing.assert_allclose(
        colour.chroma(rgb)[0], [[90.203, 240], [53.797, 34.214], [240, 109.786], [128, 128]]
    )


def test_there_and_back_is_the_picture():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    back = colour.rgb(colour.luma(image), colour.chroma(image))
    np.testing.assert_array_equal(back, image)


def test_a_network_for_y_sees_whole_numbers_and_learns_unrounded_ones():
    image = np.random.default_rng(1).integers(0, 256, (2, 4, 5, 3)).astype(np.float32)
    seen, wanted = colour.seen(image, 1), colour.wanted(image, 1)
    assert seen.shape == wanted.shape == (2, 4, 5, 1)
    np.testing.assert_array_equal(seen, np.rint(wanted))
    assert np.abs(seen - wanted).max() > 0.3
    np.testing.assert_array_equal(colour.seen(image, 3), image)
    with pytest.raises(InputError, match="needs an RGB image"):
        colour.luma(image[..., :2])
