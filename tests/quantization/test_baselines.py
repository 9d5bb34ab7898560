"""DoReFa, PACT, TensorFlow Lite and unsigned PAMS against NumPy: values, gradients, bounds."""

import numpy as np
import pytest
import tensorflow as tf

from pams_tf.quantization import functional

BITS = (2, 4, 8)


def gradients(quantize, upstream, *inputs):
    inputs = [tf.constant(value, tf.float32) for value in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = quantize(*inputs)
    return (y, *tape.gradient(y, inputs, output_gradients=tf.constant(upstream, tf.float32)))


def numpy_grid(x, alpha, lowest, largest):
    scale = np.float32(alpha) / np.float32(largest)
    return np.clip(np.rint(x / scale), lowest, largest) * scale


def samples(seed, size=20_000):
    """(values, upstream gradients) float32."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 2, size).astype(np.float32), rng.normal(size=size).astype(np.float32)


ALPHA_METHODS = {
    "pams": lambda x, a, bits, **kw: functional.pams(x, a, bits, **kw),
    "pact": functional.pact,
    "dorefa": functional.dorefa_activations,
}


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("kind", ["signed", "unsigned", "full_range"])
@pytest.mark.parametrize("method", ALPHA_METHODS)
def test_values_are_the_codes_of_a_grid(method, kind, bits):
    x, _ = samples(bits)
    alpha, n = np.float32(1.7), 2 ** (bits - 1) - 1
    codes = {"signed": (-n, n), "full_range": (-n - 1, n), "unsigned": (0, 2**bits - 1)}[kind]
    flags = {} if kind == "signed" else {kind: True}
    y = ALPHA_METHODS[method](x, alpha, bits, **flags).numpy()
    np.testing.assert_allclose(y, numpy_grid(x, alpha, *codes), rtol=1e-6)
    found = np.unique(np.rint(y / (alpha / codes[1])))
    np.testing.assert_array_equal(found, np.arange(codes[0], codes[1] + 1))


@pytest.mark.parametrize(
    ("method", "unsigned", "to_alpha"),
    [
        ("pams", False, (-1, -1, 0, 0, 0, 1, 1)),
        ("pams", True, (0, 0, 0, 0, 0, 1, 1)),
        ("pact", False, (0, 0, 0, 0, 0, 1, 1)),
        ("pact", True, (0, 0, 0, 0, 0, 1, 1)),
    ],
)
def test_learned_ranges_take_their_gradient_from_what_they_clip(method, unsigned, to_alpha):
    x = np.array([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0], np.float32)
    upstream = np.array([1, 2, 4, 8, 16, 32, 64], np.float32)
    _, dx, dalpha = gradients(
        lambda x, a: ALPHA_METHODS[method](x, a, 8, unsigned=unsigned), upstream, x, 1.0
    )
    inside = (x > 0) & (x < 1) if unsigned else np.abs(x) < 1
    np.testing.assert_array_equal(dx, upstream * inside)
    assert float(dalpha) == np.sum(upstream * to_alpha)


def test_pact_with_the_full_range_has_no_gradient_from_below_either():
    x = np.array([-3.0, -1.1, -1.0, 0.5, 2.0], np.float32)
    upstream = np.array([1, 2, 4, 8, 16], np.float32)
    _, dx, dalpha = gradients(
        lambda x, a: functional.pact(x, a, 4, full_range=True), upstream, x, 1.0
    )
    np.testing.assert_array_equal(dx, [0, 2, 4, 8, 0])  # the lower bound is -8/7
    assert float(dalpha) == 16


@pytest.mark.parametrize("unsigned", [False, True])
def test_dorefas_range_has_no_gradient(unsigned):
    x = np.array([-3.0, -1.0, -0.5, 0.5, 1.0, 3.0], np.float32)
    upstream = np.arange(1, 7, dtype=np.float32)
    _, dx, dalpha = gradients(
        lambda x, a: functional.dorefa_activations(x, a, 4, unsigned=unsigned), upstream, x, 1.0
    )
    inside = (x > 0) & (x < 1) if unsigned else np.abs(x) < 1
    np.testing.assert_array_equal(dx, upstream * inside)
    assert dalpha is None


def test_unsigned_pams_has_the_rounding_gradient_too():
    x, upstream = samples(5)
    alpha = np.float32(2.5)
    y, _, dalpha = gradients(
        lambda x, a: functional.pams(x, a, 3, alpha_gradient="rounding", unsigned=True),
        upstream,
        x,
        alpha,
    )
    inside = (x > 0) & (x < alpha)
    factor = np.where(x >= alpha, 1.0, inside * (y - x) / alpha)
    np.testing.assert_allclose(dalpha, np.sum(upstream.astype(float) * factor), rtol=1e-4)


def test_ties_go_to_the_even_code():
    """Eighths are exact in float32: x / s is 0.5, 1.5, 2.5."""
    x, alpha = np.array([0.5, 1.5, 2.5], np.float32), 7.0
    for quantize in ALPHA_METHODS.values():
        np.testing.assert_array_equal(quantize(x, alpha, 4), [0, 2, 2])


@pytest.mark.parametrize("quantize", ALPHA_METHODS.values(), ids=ALPHA_METHODS)
def test_zeros_stay_zero(quantize):
    for unsigned in (False, True):
        assert not np.any(quantize(np.zeros((2, 3), np.float32), 1.0, 4, unsigned=unsigned))


def numpy_dorefa(w, bits, axis=None):
    """Eq. 9 in float64, and its gradient with both maxima as constants."""
    w, n = w.astype(np.float64), 2**bits - 1
    others = None if axis is None else tuple(range(w.ndim - 1))
    t = np.tanh(w)
    limit = np.abs(w).max(axis=others, keepdims=True)
    bent = np.abs(t).max(axis=others, keepdims=True)
    y = (2 * np.rint((t / (2 * bent) + 0.5) * n) / n - 1) * limit
    return y, limit / bent * (1 - t**2)


@pytest.mark.parametrize("axis", [None, -1])
@pytest.mark.parametrize("bits", BITS)
def test_dorefa_weights_are_equation_9(bits, axis):
    rng = np.random.default_rng(bits)
    w = rng.normal(0, 0.7, (3, 3, 5, 4)).astype(np.float32)
    upstream = rng.normal(size=w.shape).astype(np.float32)
    y, dw = gradients(lambda w: functional.dorefa_weights(w, bits, axis=axis), upstream, w)
    expected, factor = numpy_dorefa(w, bits, axis)
    # float32 and float64 may see another side of a tie, rarely; then they are one code apart.
    assert np.mean(np.abs(y - expected) > 1e-5) < 0.01
    np.testing.assert_allclose(dw, upstream * factor, rtol=1e-4)
    limit = np.abs(w).max(axis=(0, 1, 2) if axis else None)
    codes = np.asarray(y) / (limit / (2**bits - 1))
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-3)
    assert set(np.unique(np.rint(codes)).astype(int) % 2) == {1}  # odd, so never zero
    np.testing.assert_allclose(np.abs(y).max(), np.abs(w).max(), rtol=1e-6)


def test_the_largest_dorefa_weight_is_trained_as_the_others_are():
    """Both maxima are constants: its gradient is that of the tanh alone."""
    w = np.array([0.5, -1.0, 0.25], np.float32)
    _, dw = gradients(lambda w: functional.dorefa_weights(w, 4), np.ones(3), w)
    np.testing.assert_allclose(dw, (1 - np.tanh(w) ** 2) / np.tanh(1.0), rtol=1e-5)


def test_dorefa_keeps_a_tensor_of_zeros_and_trains_it():
    w = np.zeros((3, 3, 2, 2), np.float32)
    y, dw = gradients(lambda w: functional.dorefa_weights(w, 4), np.ones_like(w), w)
    assert not np.any(y)
    np.testing.assert_array_equal(dw, np.ones_like(w))


def numpy_min_max(x, minimum, maximum, bits):
    """Jacob et al.: the step, the zero point on the grid, clipping, in float64."""
    minimum, maximum = min(minimum, 0.0), max(maximum, 0.0)
    n = 2**bits - 1
    scale = (maximum - minimum) / n
    zero = np.clip(np.rint(-minimum / scale), 0, n)
    codes = np.clip(np.rint(x.astype(np.float64) / scale) + zero, 0, n)
    return (codes - zero) * scale, scale, zero


@pytest.mark.parametrize("ends", [(-1.3, 2.1), (0.0, 3.0), (-2.0, 0.0), (0.5, 2.0)])
@pytest.mark.parametrize("bits", BITS)
def test_min_max_is_the_nudged_asymmetric_grid(bits, ends):
    x, upstream = samples(bits)
    low, high = (np.float32(end) for end in ends)
    y, dx, dlow, dhigh = gradients(
        lambda x, low, high: functional.min_max(x, low, high, bits), upstream, x, low, high
    )
    expected, scale, zero = numpy_min_max(x, low, high, bits)
    assert np.mean(np.abs(y - expected) > 1e-4 * scale) < 0.01  # ties, as ever
    codes = np.asarray(y) / scale + zero
    np.testing.assert_array_equal(np.unique(np.rint(codes)), np.arange(2**bits))
    nudged = (-zero * scale, (2**bits - 1 - zero) * scale)
    far = np.minimum(np.abs(x - nudged[0]), np.abs(x - nudged[1])) > 1e-4
    inside = (x > nudged[0]) & (x < nudged[1])
    np.testing.assert_array_equal(np.asarray(dx)[far], (upstream * inside)[far])
    assert dlow is None
    assert dhigh is None


def test_min_max_of_an_empty_range_is_zero():
    y = functional.min_max(np.array([-1.0, 0.0, 2.0], np.float32), 0.0, 0.0, 8)
    np.testing.assert_array_equal(y, [0, 0, 0])


def test_moving_average():
    assert functional.moving_average(10.0, 20.0, 0.75) == 12.5


def test_sample_ranges_are_each_samples_extremes():
    x = np.random.default_rng(3).normal(size=(3, 4, 5, 2)).astype(np.float32)
    minima, maxima = functional.sample_ranges(x)
    np.testing.assert_array_equal(minima, x.min(axis=(1, 2, 3)))
    np.testing.assert_array_equal(maxima, x.max(axis=(1, 2, 3)))
    np.testing.assert_array_equal(functional.sample_maxima(x), np.abs(x).max(axis=(1, 2, 3)))


@pytest.mark.parametrize("bits", [1, 17, 8.0, True, None])
def test_bits_out_of_range(bits):
    x = np.zeros(3, np.float32)
    for quantize in (
        lambda: functional.pact(x, 1.0, bits),
        lambda: functional.dorefa_activations(x, 1.0, bits, unsigned=True),
        lambda: functional.dorefa_weights(x, bits),
        lambda: functional.min_max(x, 0.0, 1.0, bits),
    ):
        with pytest.raises(ValueError, match="bits=.*2 to 16"):
            quantize()


@pytest.mark.parametrize("quantize", ALPHA_METHODS.values(), ids=ALPHA_METHODS)
def test_a_grid_is_unsigned_or_has_the_code_below(quantize):
    with pytest.raises(ValueError, match="unsigned=True and full_range=True exclude each other"):
        quantize(np.zeros(3, np.float32), 1.0, 8, unsigned=True, full_range=True)


@pytest.mark.parametrize("percentile", [50.5, 90.0, 99.9, 100.0])
def test_sample_percentiles_are_the_nearest_values(percentile):
    x = np.random.default_rng(31).normal(0, 3, (3, 5, 4, 6)).astype(np.float32)
    minima, maxima = functional.sample_ranges(x, percentile)
    flat = x.reshape(3, -1)
    low, high = np.percentile(flat, (100 - percentile, percentile), axis=1, method="nearest")
    np.testing.assert_array_equal(minima, low)
    np.testing.assert_array_equal(maxima, high)
    with pytest.raises(ValueError, match="percentile=50 "):
        functional.sample_ranges(x, 50)
