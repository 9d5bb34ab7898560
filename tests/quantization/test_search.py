"""Ranges with the smallest error, against a plain search in NumPy over the values themselves."""

import numpy as np
import pytest

from pams_tf.grid import qrange
from pams_tf.quantization import MinMaxQuantizer, PamsQuantizer, functional


def seen(x, weights):
    low, high = float(x.min()), float(x.max())
    counted = functional.histogram_weights(x, weights, low, high)
    return functional.histogram(low, high, counted)


def error(x, weights, scale, qmin, qmax):
    return np.sum(weights * (x - np.clip(np.rint(x / scale), qmin, qmax) * scale) ** 2)


def values(kind):
    rng = np.random.default_rng(3)
    x = rng.laplace(size=20_000).astype(np.float32)
    x = np.abs(x) if kind == "unsigned" else x
    return x, rng.uniform(0, 2, x.shape).astype(np.float32)


def test_a_histogram_is_numpys():
    x, weights = values("signed")
    found = seen(x, weights)
    expected, edges = np.histogram(x, 4096, weights=weights)
    np.testing.assert_allclose(found.values, (edges[1:] + edges[:-1]) / 2, atol=1e-5)
    # A value on the edge of two bins may be counted in either.
    np.testing.assert_allclose(np.cumsum(found.weights), np.cumsum(expected), atol=4)
    assert found.weights.sum() == pytest.approx(weights.sum(dtype=np.float64))


@pytest.mark.parametrize("kind", ["signed", "unsigned"])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_alpha_has_the_smallest_error(bits, kind):
    x, weights = values(kind)
    qmin, qmax = qrange(bits, unsigned=kind == "unsigned")
    alpha = functional.best_alpha(seen(x, weights), qmin, qmax)
    best = min(
        error(x, weights, a / qmax, qmin, qmax) for a in np.abs(x).max() * np.linspace(0.03, 1, 400)
    )
    assert error(x, weights, alpha / qmax, qmin, qmax) < 1.03 * best
    assert alpha < np.abs(x).max()


@pytest.mark.parametrize("bits", [2, 4])
def test_two_ends_are_better_than_one_where_values_are_skewed(bits):
    x, weights = values("signed")
    x = np.where(x < 0, 0.2 * x, x)
    found = seen(x, weights)
    grid = functional.min_max_grid(*map(np.float32, functional.best_ends(found, bits)), bits)
    qmin, qmax = qrange(bits)
    alpha = functional.best_alpha(found, qmin, qmax)
    assert error(x, weights, *map(float, grid)) < error(x, weights, alpha / qmax, qmin, qmax)


def test_what_has_no_weight_is_clipped():
    x = np.array([-1.0, -0.5, 0.5, 1.0, 20.0], np.float32)
    weights = np.array([1, 1, 1, 1, 0], np.float32)
    assert functional.best_alpha(seen(x, weights), -7, 7) < 2
    assert functional.best_ends(seen(x, weights), 4)[1] < 2


@pytest.mark.parametrize("quantizer", [PamsQuantizer(4), MinMaxQuantizer(4)])
def test_a_dead_tensor_has_a_range_all_the_same(quantizer):
    quantizer.fit_range(functional.histogram(0.0, 1e-3, np.zeros(4096)))
    assert quantizer.calibrated
    assert float(quantizer.alpha) > 0
