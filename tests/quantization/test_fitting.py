"""Fitted weights against nearest rounding, exhaustive search and what the mean must be."""

import itertools

import numpy as np
import pytest

from pams_tf.quantization import functional


def inputs(places=4000, count=6, seed=0):
    """Correlated inputs with a mean, and 1 for the bias: (places, count + 1)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(places, count)) @ rng.normal(size=(count, count)) + rng.normal(size=count)
    return np.hstack([x, np.ones((places, 1))])


def weights(count=6, outputs=4, seed=1):
    return np.random.default_rng(seed).normal(size=(count + 1, outputs))


def fitted(w, q, x, qmax, per_channel=True):
    found, _ = functional.fitted_weights(w, q.T @ q, q.T @ x, qmax, per_channel=per_channel)
    return found


def nearest(w, qmax, per_channel=True):
    limits = np.abs(w[:-1]).max(axis=0 if per_channel else None, keepdims=True)
    step = limits / qmax
    return np.vstack([np.rint(w[:-1] / step) * step, w[-1:]])


def error(w, found, q, x):
    return np.mean((q @ found - x @ w) ** 2)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("qmax", [1, 7, 127])
def test_weights_are_on_the_grid_that_max_abs_finds(qmax, per_channel):
    w, x = weights(), inputs()
    found = fitted(w, x, x, qmax, per_channel)[:-1]
    steps = np.abs(found).max(axis=0 if per_channel else None) / qmax
    np.testing.assert_allclose(found / steps, np.rint(found / steps), atol=1e-9)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("qmax", [7, 127])
def test_the_error_is_below_that_of_nearest_rounding(qmax, per_channel):
    w, x = weights(count=30), inputs(count=30)
    ours = error(w, fitted(w, x, x, qmax, per_channel), x, x)
    assert ours < 0.6 * error(w, nearest(w, qmax, per_channel), x, x)


def test_the_error_is_near_the_smallest_there_is():
    """Over all codes of three weights on the same steps, each with the bias that suits it best."""
    qmax, w, x = 3, weights(count=3, outputs=5), inputs(count=3)
    found = fitted(w, x, x, qmax)
    for column in range(5):
        step = np.abs(found[:-1, column]).max() / qmax
        wanted = x @ w[:, column]
        errors = []
        for codes in itertools.product(range(-qmax, qmax + 1), repeat=3):
            left = wanted - x[:, :-1] @ (np.array(codes) * step)
            errors.append(np.var(left))
        assert error(w[:, column], found[:, column], x, x) < 3 * min(errors) + 1e-3


def test_uncorrelated_inputs_leave_nothing_to_make_up_for():
    w = weights()
    square = np.diag([3.0, 2, 1, 4, 5, 6, 7])
    found, _ = functional.fitted_weights(w, square, square, 127, per_channel=True)
    np.testing.assert_allclose(found, nearest(w, 127), atol=np.abs(w).max() / 127)
    np.testing.assert_allclose(found[-1], w[-1])


def test_the_mean_of_a_result_stays():
    w, x = weights(), inputs()
    q = np.hstack([np.rint(x[:, :-1] + 0.2), x[:, -1:]])  # coarse, and off by a constant
    found = fitted(w, q, x, 7)
    np.testing.assert_allclose((q @ found).mean(0), (x @ w).mean(0), atol=0.02)
    assert np.abs((q @ nearest(w, 7)).mean(0) - (x @ w).mean(0)).max() > 0.2


def test_noise_of_the_inputs_is_not_amplified():
    """Inputs that differ by little may have large opposite weights, which only multiply noise."""
    rng = np.random.default_rng(4)
    first = rng.normal(size=(5000, 1))
    x = np.hstack([first, first + 0.01 * rng.normal(size=(5000, 1)), np.ones((5000, 1))])
    q = x + np.hstack([rng.normal(size=(5000, 2)) * 0.3, np.zeros((5000, 1))])
    w = np.array([[20.0], [-19.0], [0.0]])
    assert error(w, fitted(w, q, x, 127), q, x) < 0.5 * error(w, nearest(w, 127), q, x)


def test_silent_inputs_and_outputs():
    w, x = weights(), inputs()
    x[:, 2] = 0
    w[:-1, 1] = 0
    found = fitted(w, x, x, 7)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:-1, 1], 0)
    assert found[-1, 1] == pytest.approx(w[-1, 1], rel=1e-3)
