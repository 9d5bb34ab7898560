"""PSNR and SSIM against formulas written out pixel by pixel, and against figures known by hand."""

import math

import numpy as np
import pytest

from pams_tf.errors import InputError
from pams_tf.evaluation.metrics import luma, psnr_y, ssim_y


def _noisy_pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(7)
    smooth = np.linspace(20, 230, height * width).reshape(height, width, 1).repeat(3, axis=2)
    target = np.clip(smooth + generator.normal(0, 15, smooth.shape), 0, 255).astype(np.uint8)
    noise = generator.normal(0, 9, smooth.shape)
    return np.clip(target + noise, 0, 255).astype(np.uint8), target


def _luma_of_pixel(pixel: np.ndarray) -> float:
    red, green, blue = (float(value) for value in pixel)
    return (65.481 * red + 128.553 * green + 24.966 * blue) / 255 + 16


def _ssim_by_windows(x: np.ndarray, y: np.ndarray) -> float:
    """The definition, one 11x11 window at a time, with a true 2-D kernel."""
    kernel = np.array(
        [[math.exp(-(i * i + j * j) / 4.5) for j in range(-5, 6)] for i in range(-5, 6)]
    )
    kernel /= kernel.sum()
    scores = []
    for top in range(x.shape[0] - 10):
        for left in range(x.shape[1] - 10):
            a = x[top : top + 11, left : left + 11]
            b = y[top : top + 11, left : left + 11]
            mean_a, mean_b = (kernel * a).sum(), (kernel * b).sum()
            variance_a = (kernel * (a - mean_a) ** 2).sum()
            variance_b = (kernel * (b - mean_b) ** 2).sum()
            covariance = (kernel * (a - mean_a) * (b - mean_b)).sum()
            scores.append(
                (2 * mean_a * mean_b + 6.5025)
                * (2 * covariance + 58.5225)
                / ((mean_a**2 + mean_b**2 + 6.5025) * (variance_a + variance_b + 58.5225))
            )
    return float(np.mean(scores))


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((0, 0, 0), 16.0),
        ((255, 255, 255), 235.0),
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
    ],
)
def test_luma_of_primary_colours_is_the_one_of_bt601(rgb, expected):
    image = np.array(rgb, dtype=np.uint8).reshape(1, 1, 3)
    assert luma(image)[0, 0] == pytest.approx(expected, abs=1e-9)
    assert luma(image).dtype == np.float64
    assert luma(image.astype(np.float32))[0, 0] == pytest.approx(expected, abs=1e-9)


def test_psnr_is_the_formula_over_the_pixels_inside_the_border():
    output, target = _noisy_pair(9, 13)
    squares = [
        (_luma_of_pixel(output[i, j]) - _luma_of_pixel(target[i, j])) ** 2
        for i in range(2, 7)
        for j in range(2, 11)
    ]
    expected = 20 * math.log10(255) - 10 * math.log10(sum(squares) / len(squares))
    assert psnr_y(output, target, border=2) == pytest.approx(expected, abs=1e-9)


def test_psnr_of_a_grey_step_is_known():
    # One grey level is 219/255 of a luma level: 48.13 dB for RGB becomes 49.45 dB for Y.
    target = np.full((8, 8, 3), 100, np.uint8)
    expected = 20 * math.log10(255 * 255 / 219)
    assert psnr_y(target + np.uint8(1), target, border=0) == pytest.approx(expected, abs=1e-9)


def test_unsigned_pixels_do_not_wrap_around():
    low, high = np.zeros((12, 12, 3), np.uint8), np.full((12, 12, 3), 255, np.uint8)
    assert psnr_y(low, high, 0) == pytest.approx(psnr_y(high, low, 0))
    assert psnr_y(low, high, 0) == pytest.approx(20 * math.log10(255 / 219))


def test_pixels_in_the_border_do_not_count():
    output, target = _noisy_pair(24, 30)
    spoiled = output.copy()
    spoiled[:3], spoiled[-3:], spoiled[:, :3], spoiled[:, -3:] = 0, 255, 0, 255
    for metric in (psnr_y, ssim_y):
        assert metric(spoiled, target, 3) == metric(output, target, 3)
        assert metric(spoiled, target, 2) < metric(output, target, 2)


def test_identical_images():
    _, target = _noisy_pair(16, 16)
    assert psnr_y(target, target, 2) == math.inf
    assert ssim_y(target, target, 2) == pytest.approx(1.0, abs=1e-12)


def test_ssim_is_the_definition_window_by_window():
    output, target = _noisy_pair(21, 17)
    x = np.apply_along_axis(_luma_of_pixel, 2, output)[1:-1, 1:-1]
    y = np.apply_along_axis(_luma_of_pixel, 2, target)[1:-1, 1:-1]
    expected = _ssim_by_windows(x, y)
    assert 0.2 < expected < 0.95
    assert ssim_y(output, target, border=1) == pytest.approx(expected, abs=1e-10)


def test_ssim_of_flat_images_is_the_luminance_term():
    dark, bright = np.full((11, 11, 3), 50, np.uint8), np.full((11, 11, 3), 200, np.uint8)
    a, b = 50 * 219 / 255 + 16, 200 * 219 / 255 + 16
    expected = (2 * a * b + 6.5025) / (a * a + b * b + 6.5025)
    assert ssim_y(dark, bright, 0) == pytest.approx(expected, abs=1e-9)


def _image(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.uint8)


@pytest.mark.parametrize("metric", [psnr_y, ssim_y])
@pytest.mark.parametrize(
    ("output", "target", "border", "message"),
    [
        (_image(20, 20, 3), _image(20, 21, 3), 0, r"\(20, 20, 3\) and \(20, 21, 3\)"),
        (_image(20, 20, 1), _image(20, 20, 1), 0, r"\(20, 20, 1\)"),
        (_image(1, 20, 20, 3), _image(1, 20, 20, 3), 0, r"\(1, 20, 20, 3\)"),
        (_image(8, 20, 3), _image(8, 20, 3), 4, "8x20"),
        (_image(20, 20, 3), _image(20, 20, 3), -1, "border is -1"),
    ],
)
def test_bad_input_is_named(metric, output, target, border, message):
    with pytest.raises(InputError, match=message):
        metric(output, target, border)


def test_ssim_needs_a_whole_window():
    with pytest.raises(InputError, match="11x11"):
        ssim_y(_image(18, 40, 3), _image(18, 40, 3), 4)
    assert ssim_y(_image(19, 40, 3), _image(19, 40, 3), 4) == 1.0
