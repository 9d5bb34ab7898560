"""Bicubic against the formula, pixel by pixel."""

import math
import time

import numpy as np
import pytest

from pams_tf.data.resize import crop_to_multiple, downscale, resize, upscale
from pams_tf.errors import InputError


def keys(x):
    """Keys (1981), Eq. 15, a = -1/2."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def mirrored(i, size):
    while not 0 <= i < size:
        i = -1 - i if i < 0 else 2 * size - 1 - i
    return i


def by_hand(image, height, width):
    """One output pixel at a time, over both axes at once, with far more taps than can matter."""
    tables = []
    for size, target in zip(image.shape, (height, width), strict=True):
        stretch = max(size / target, 1)
        table = np.zeros((target, size))
        for out in range(target):
            center = (out + 0.5) * size / target - 0.5
            for tap in range(-3 * size, 4 * size):
                table[out, mirrored(tap, size)] += keys((center - tap) / stretch)
        tables.append(table / table.sum(axis=1, keepdims=True))
    return np.array(
        [[(np.outer(row, column) * image).sum() for column in tables[1]] for row in tables[0]]
    )


def away_from_zero(image):
    return np.array([[min(max(math.floor(v + 0.5), 0), 255) for v in row] for row in image])


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("up", [False, True])
def test_agrees_with_the_formula(scale, up):
    rng = np.random.default_rng(scale)
    image = rng.integers(0, 256, (7, 5) if up else (3 * scale, 5 * scale), dtype=np.uint8)
    height, width = (n * scale if up else n // scale for n in image.shape)
    expected = by_hand(image.astype(float), height, width)
    np.testing.assert_allclose(resize(image, height, width), expected, atol=1e-9)
    # Where the exact value ends in .5 the last bit of a float decides; leave these pixels out.
    clear = np.abs(expected % 1 - 0.5) > 1e-6
    assert clear.mean() > 0.9
    result = (upscale if up else downscale)(image, scale)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result[clear], away_from_zero(expected)[clear])


def test_a_size_that_is_no_multiple():
    image = np.random.default_rng(0).uniform(0, 255, (9, 7))
    np.testing.assert_allclose(resize(image, 4, 11), by_hand(image, 4, 11), atol=1e-9)


def test_channels_do_not_mix():
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    together = downscale(image, 4)
    assert together.shape == (2, 3, 3)
    apart = np.stack([downscale(image[..., c], 4) for c in range(3)], axis=-1)
    np.testing.assert_array_equal(together, apart)


def test_half_is_rounded_away_from_zero():
    step = np.tile(np.array([1, 2], np.uint8), (2, 1))
    assert downscale(step, 2) == 2
    assert np.rint(resize(step, 1, 1)) == 2  # to even
    step = np.tile(np.array([2, 3], np.uint8), (2, 1))
    assert downscale(step, 2) == 3
    assert np.rint(resize(step, 1, 1)) == 2  # to even


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_flat_picture_stays_flat(scale):
    image = np.full((12, 24, 3), 137, np.uint8)
    assert (downscale(image, scale) == 137).all()
    assert (upscale(image, scale) == 137).all()


def test_crop_keeps_the_top_left():
    image = np.arange(7 * 10).reshape(7, 10)
    cropped = crop_to_multiple(image, 4)
    assert cropped.shape == (4, 8)
    np.testing.assert_array_equal(cropped, image[:4, :8])


def test_downscale_wants_a_multiple():
    with pytest.raises(InputError, match="7x8"):
        downscale(np.zeros((7, 8, 3), np.uint8), 2)


def test_a_picture_of_2k_takes_a_moment():
    image = np.random.default_rng(0).integers(0, 256, (1404, 2040, 3), dtype=np.uint8)
    start = time.process_time()
    downscale(image, 4)
    assert time.process_time() - start < 3
