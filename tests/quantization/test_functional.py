"""The quantizers against the released code's results, NumPy, and the integer grid."""

import numpy as np
import pytest
import tensorflow as tf

from pams_tf.quantization import functional

BITS = (2, 3, 4, 5, 6, 7, 8, 16)


def gradients(x, alpha, bits, upstream, alpha_gradient, full_range=False):
    x, alpha = tf.constant(x), tf.constant(alpha)
    with tf.GradientTape() as tape:
        tape.watch([x, alpha])
        y = functional.pams(x, alpha, bits, alpha_gradient=alpha_gradient, full_range=full_range)
    return (y, *tape.gradient(y, [x, alpha], output_gradients=tf.constant(upstream)))


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize(("rule", "key"), [("eq3", "dalpha_eq3"), ("rounding", "dalpha_code")])
def test_pams_reproduces_released_code(golden, bits, rule, key):
    data = golden("activation_quantizer")
    y, dx, dalpha = gradients(
        data[f"bits{bits}_x"], data["alpha"], bits, data[f"bits{bits}_upstream"], rule
    )
    np.testing.assert_allclose(y, data[f"bits{bits}_y"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(dx, data[f"bits{bits}_dx"], rtol=1e-4)
    # At 4 bits the terms, hundreds in sum, cancel to 0.024; the released code's own float32 sum is
    # 6e-6 off there (see the float64 test below), which is what the absolute part allows for.
    np.testing.assert_allclose(dalpha, data[f"bits{bits}_{key}"][0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("rule", ["eq3", "rounding"])
def test_alpha_gradient_is_the_formula_in_float64(golden, bits, rule):
    data = golden("activation_quantizer")
    x, upstream = data[f"bits{bits}_x"], data[f"bits{bits}_upstream"]
    _, _, dalpha = gradients(x, data["alpha"], bits, upstream, rule)
    x, upstream, alpha = x.astype(np.float64), upstream.astype(np.float64), float(data["alpha"])
    scale = alpha / (2 ** (bits - 1) - 1)
    factor = np.where(x >= alpha, 1.0, np.where(x <= -alpha, -1.0, 0.0))
    if rule == "rounding":
        inside = np.abs(x) < alpha
        factor += inside * (np.rint(x / scale) * scale - x) / alpha
    np.testing.assert_allclose(dalpha, np.sum(upstream * factor), rtol=1e-4)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_max_abs_reproduces_released_code(golden, bits):
    data = golden("weight_quantizer")
    w = tf.constant(data[f"bits{bits}_w"])
    with tf.GradientTape() as tape:
        tape.watch(w)
        y = functional.max_abs(w, bits)
    dw = tape.gradient(y, w, output_gradients=tf.constant(data[f"bits{bits}_upstream"]))
    np.testing.assert_allclose(y, data[f"bits{bits}_y"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(dw, data[f"bits{bits}_dw"], rtol=1e-4)


@pytest.mark.parametrize("bits", BITS)
def test_pams_lies_on_the_integer_grid(bits):
    x = np.random.default_rng(bits).normal(0, 3, 5000).astype(np.float32)
    alpha = np.float32(2.7)
    n = 2 ** (bits - 1) - 1
    codes = functional.pams(x, alpha, bits).numpy() / (alpha / n)
    expected = np.clip(np.rint(x.astype(np.float64) * n / alpha), -n, n)
    # float32 and float64 may disagree about which side of a tie a value lies on, rarely.
    assert np.abs(codes - np.rint(codes)).max() < 2e-3 * max(1, n / 127)
    assert np.abs(np.rint(codes) - expected).max() <= 1
    assert np.mean(np.rint(codes) != expected) < 1e-2
    assert codes.max() <= n + 1e-3 * n
    assert len(np.unique(expected)) > (2 if bits == 2 else 6)


def test_pams_gradient_at_the_bounds_is_equation_3():
    x = np.array([-2.0, -1.0, -0.999, 0.0, 0.3, 0.999, 1.0, 2.0], np.float32)
    upstream = np.array([1, 2, 4, 8, 16, 32, 64, 128], np.float32)
    _, dx, dalpha = gradients(x, np.float32(1), 8, upstream, "eq3")
    np.testing.assert_array_equal(dx, upstream * [0, 0, 1, 1, 1, 1, 0, 0])
    assert dalpha == -1 - 2 + 64 + 128


def test_full_range_is_every_code_of_int8():
    x = np.linspace(-2, 2, 4001, dtype=np.float32)
    y, dx, _ = (np.asarray(v) for v in gradients(x, np.float32(1), 8, np.ones_like(x), "eq3", True))
    codes = np.rint(y * 127)
    np.testing.assert_array_equal(codes, np.clip(np.rint(x.astype(np.float64) * 127), -128, 127))
    np.testing.assert_array_equal(dx, (x > -np.float32(128 / 127)) & (x < 1))


def test_full_range_gradient_to_alpha_is_that_of_the_bound():
    x = np.array([-2.0, -1.5, 0.5, 1.5], np.float32)
    upstream = np.array([1, 2, 4, 8], np.float32)
    *_, dalpha = gradients(x, np.float32(1), 4, upstream, "eq3", True)
    np.testing.assert_allclose(dalpha, -8 / 7 * (1 + 2) + 8, rtol=1e-6)


def test_rounding_gradient_is_the_derivative_of_the_grid():
    """Inside the range codes are constant, so d x_q / d alpha is code / n - x / alpha."""
    x, alpha, bits = np.array([0.31, -0.77], np.float32), np.float32(1.3), 4
    _, _, dalpha = gradients(x, alpha, bits, np.ones(2, np.float32), "rounding")
    expected = np.sum(np.rint(x / (alpha / 7)) / 7 - x / alpha)
    np.testing.assert_allclose(dalpha, expected, rtol=1e-5)


def test_max_abs_per_channel_is_max_abs_of_each_channel():
    w = np.random.default_rng(3).normal(size=(3, 3, 4, 5)).astype(np.float32)
    w *= np.array([1e-3, 1, 10, 100, 0], np.float32)
    y = functional.max_abs(w, 4, axis=-1).numpy()
    for channel in range(4):
        np.testing.assert_allclose(
            y[..., channel], functional.max_abs(w[..., channel], 4), rtol=1e-6
        )
    assert not y[..., 4].any()


def test_pams_inside_tf_function_with_unknown_shape():
    quantize = tf.function(
        lambda x: functional.pams(x, 1.5, 8), input_signature=[tf.TensorSpec(None)]
    )
    x = np.linspace(-3, 3, 24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(quantize(x), functional.pams(x, 1.5, 8))


@pytest.mark.parametrize("bits", [1, 0, 17, -8, 8.0, "8", True, None])
def test_bits_out_of_range(bits):
    with pytest.raises(ValueError, match="bits=.*2 to 16"):
        functional.pams(np.zeros(3, np.float32), 1.0, bits)
    with pytest.raises(ValueError, match="bits=.*2 to 16"):
        functional.max_abs(np.zeros(3, np.float32), bits)


def test_unknown_alpha_gradient():
    with pytest.raises(ValueError, match="'lsq'.*'eq3', 'rounding'"):
        functional.pams(np.zeros(3, np.float32), 1.0, 8, alpha_gradient="lsq")
