"""Learned clips of kernels and learned ends of ranges against NumPy: values, gradients, layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pams_tf import QuantizationRecipe
from pams_tf.quantization import (
    PamsEndsQuantizer,
    PamsQuantizer,
    QuantConv2D,
    activation_quantizer,
    functional,
    kernel_quantizer,
)
from pams_tf.quantization.convolution import SMALLEST_CLIP
from pams_tf.training.relative import RelativeAdam


def gradients(quantize, upstream, *inputs):
    inputs = [tf.constant(value, tf.float32) for value in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = quantize(*inputs)
    return (y, *tape.gradient(y, inputs, output_gradients=tf.constant(upstream, tf.float32)))


def kernel(seed=1, shape=(3, 3, 4, 5)):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * rng.uniform(0.01, 1, shape[-1])).astype(np.float32)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_learned_clip_is_the_formula(bits, per_channel):
    w, upstream, n = kernel(), kernel(2), 2 ** (bits - 1) - 1
    clip = 0.7 * (np.abs(w).max((0, 1, 2), keepdims=True) if per_channel else np.abs(w).max())
    y, dw, dclip = gradients(lambda w, a: functional.learned_clip(w, a, bits), upstream, w, clip)
    a = np.float64(np.float32(clip))
    codes = np.clip(np.rint(w / a * n), -n, n)
    np.testing.assert_allclose(y, codes * a / n, rtol=1e-5)
    inside = np.abs(w) <= a
    assert 0 < inside.mean() < 1
    np.testing.assert_array_equal(dw, np.where(inside, upstream, 0))
    factor = np.where(inside, (codes * a / n - w) / a, np.sign(w)) * upstream
    axes = (0, 1, 2) if per_channel else None
    expected = factor.sum(axes, keepdims=per_channel) / np.sqrt(n * w.size / a.size)
    np.testing.assert_allclose(dclip, expected, rtol=1e-4, atol=1e-6)


def test_a_weight_at_the_clip_is_trained():
    _, dw, _ = gradients(
        lambda w, a: functional.learned_clip(w, a, 4), [1.0, 1, 1], [0.7, -0.7, 0.71], 0.7
    )
    np.testing.assert_array_equal(dw, [1, 1, 0])


@pytest.mark.parametrize("per_channel", [False, True])
def test_the_best_clip_has_the_smallest_error_of_all(per_channel):
    w, qmax = kernel(), 3
    found = functional.best_clip(w, qmax, per_channel=per_channel)
    columns = w.reshape(-1, w.shape[-1])

    def error(clips):
        steps = clips / qmax
        return (np.clip(np.rint(columns / steps), -qmax, qmax) * steps - columns) ** 2

    limits = np.abs(columns).max(0 if per_channel else None)
    others = [error(part * np.broadcast_to(limits, 5)) for part in np.linspace(0.4, 1, 301)]
    if per_channel:
        assert np.all(error(found).sum(0) <= 1.01 * np.min([e.sum(0) for e in others], axis=0))
    else:
        assert len(set(found)) == 1
        assert error(found).sum() <= 1.01 * min(e.sum() for e in others)
    assert np.all(error(found).sum(0) < error(np.abs(columns).max(0)).sum(0) * 1.001) or (
        not per_channel
    )


def test_what_matters_decides_about_the_clip():
    w = np.array([[1.0], [0.3], [-0.3]])
    alike, small = (
        functional.best_clip(w, 1, per_channel=True, importance=np.array(importance))
        for importance in ([1, 1, 1], [0.01, 1, 1])
    )
    assert small < alike
    np.testing.assert_array_equal(functional.best_clip(0 * w, 1, per_channel=True), 1)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("rule", ["eq3", "rounding"])
@pytest.mark.parametrize("ends", [(-1.3, 2.6), (-4.0, 0.7), (0.0, 2.0)])
def test_two_learned_ends_are_the_formula(bits, rule, ends):
    rng = np.random.default_rng(bits)
    x, upstream = (rng.normal(0, 2, 20_000).astype(np.float32) for _ in range(2))
    y, dx, dlow, dhigh = gradients(
        lambda x, a, b: functional.pams_ends(x, a, b, bits, alpha_gradient=rule), upstream, x, *ends
    )
    low, high = (np.float64(np.float32(end)) for end in ends)
    n = 2**bits - 1
    scale = (high - low) / n
    zero = np.floor(-low / scale + 0.5)
    codes = np.clip(np.rint(x / scale), -zero, n - zero)
    np.testing.assert_allclose(y, codes * scale, rtol=1e-5, atol=1e-5)
    assert 0 in codes
    below, above = x <= -zero * scale, x >= (n - zero) * scale
    np.testing.assert_array_equal(dx, np.where(below | above, 0, upstream))
    inside = ~(below | above) * (rule == "rounding") * (codes - x / scale) / n
    sums = [np.sum(upstream * (part - sign * inside)) for part, sign in ((below, 1), (above, -1))]
    np.testing.assert_allclose([dlow, dhigh], sums, rtol=1e-3, atol=2e-2)


def test_rounding_alone_moves_both_ends_by_the_step_they_share():
    """Against a finite difference of the values inside, at a point where no code changes."""
    x, eps = np.array([0.31, -0.44, 1.2], np.float32), 1e-3
    upstream = np.array([1.0, 2.0, -1.0])

    def values(low, high):  # codes held
        scale = (high - low) / 15
        return np.rint(x / (3.0 / 15)) * scale

    _, _, dlow, dhigh = gradients(
        lambda x, a, b: functional.pams_ends(x, a, b, 4, alpha_gradient="rounding"),
        upstream, x, -1.0, 2.0,
    )  # fmt: skip
    # Straight through the rounding, x / scale has the derivative -x / scale**2 in its place.
    rise = (values(-1, 2 + eps) - values(-1, 2)) / eps - x / 3.0
    np.testing.assert_allclose(dhigh, np.sum(upstream * rise), rtol=1e-3)
    np.testing.assert_allclose(dlow, -np.sum(upstream * rise), rtol=1e-3)


def test_a_relu_in_front_leaves_the_lower_end_alone():
    x = tf.constant([-3.0, -0.1, 0.5, 4.0])
    quantizer = PamsEndsQuantizer(4, initial_range=(-1.0, 2.0))
    with tf.GradientTape() as tape:
        codes = quantizer.codes([x], functional_rounding(quantizer), nonnegative=True)
    dlow, dhigh = tape.gradient(codes, [quantizer.minimum.value, quantizer.maximum.value])
    assert (float(dlow), float(dhigh)) == (0, 1)
    np.testing.assert_array_equal(codes[:2], 0)


def functional_rounding(quantizer):
    from pams_tf.quantization.functional.codes import rounding

    return rounding(tf.cast(quantizer.steps()[0], tf.float32))


def test_unknown_rules_and_bits():
    with pytest.raises(ValueError, match="alpha_gradient='lsq' is not possible"):
        functional.pams_ends([1.0], -1.0, 1.0, 4, alpha_gradient="lsq")
    with pytest.raises(ValueError, match="bits=1 "):
        functional.pams_ends([1.0], -1.0, 1.0, 1)
    with pytest.raises(ValueError, match="bits=1 "):
        functional.learned_clip([1.0], 1.0, 1)


def test_the_recipe_chooses_them():
    recipe = QuantizationRecipe(bits=4, scope="all", asymmetric=True, weight_range="learned")
    signed = activation_quantizer(recipe, "q")
    behind_relu = activation_quantizer(recipe, "q", signed=False)
    assert type(signed) is PamsEndsQuantizer
    assert (type(behind_relu), behind_relu.unsigned) == (PamsQuantizer, True)
    assert kernel_quantizer(recipe) == kernel_quantizer(recipe, body=False) == "learned"
    single = recipe.replace(layer_bits={"q": 6, "conv": 3})
    assert activation_quantizer(single, "q").bits == 6
    assert (single.bits_of("conv", body=True), single.bits_of("conv2", body=True)) == (3, 4)


@pytest.mark.parametrize("per_channel", [False, True])
def test_no_step_takes_a_clip_to_zero(per_channel):
    layer = QuantConv2D(5, 3, bits=4, kernel_quantizer="learned", per_channel=per_channel)
    layer.build((None, 8, 8, 4))
    layer.kernel.assign(kernel())
    layer.fit_clip()
    assert layer.clip.shape == ((1, 1, 1, 5) if per_channel else ())
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.apply_gradients([(tf.fill(layer.clip.shape, 1e6), layer.clip)])
    np.testing.assert_allclose(layer.clip, SMALLEST_CLIP)
    assert np.isfinite(layer(np.ones((1, 8, 8, 4), np.float32))).all()
    assert np.all(np.asarray(layer.step()) > 0)
    again = QuantConv2D.from_config(layer.get_config())
    again.build((None, 8, 8, 4))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again.quantized_kernel(), layer.quantized_kernel())


def test_ends_stay_on_their_sides_and_below_the_ceiling():
    quantizer = PamsEndsQuantizer(4, ceiling=20.0)
    assert len(quantizer.trainable_variables) == 2
    optimizer = keras.optimizers.SGD(1.0)
    ends = [quantizer.minimum, quantizer.maximum]
    optimizer.apply_gradients(zip([tf.constant(-99.0), tf.constant(99.0)], ends, strict=True))
    assert float(quantizer.minimum) == 0
    assert 0 < float(quantizer.maximum) < 1e-2
    optimizer.apply_gradients(zip([tf.constant(99.0), tf.constant(-99.0)], ends, strict=True))
    assert (float(quantizer.minimum), float(quantizer.maximum)) == (-20, 20)


def test_relative_rates_are_parts_of_each_variable():
    variables = [keras.Variable(value) for value in (1.0, -300.0, [[2.0, 0.01]])]
    optimizer = RelativeAdam(0.01)
    before = [np.asarray(v) for v in variables]
    gradient = [tf.constant(5.0), tf.constant(0.2), tf.constant([[-1.0, 3.0]])]
    optimizer.apply_gradients(zip(gradient, variables, strict=True))
    # The first step of Adam is the sign of the gradient.
    for old, new, g in zip(before, variables, gradient, strict=True):
        np.testing.assert_allclose(new, old - 0.01 * np.abs(old) * np.sign(g), rtol=1e-4)
    for _ in range(2000):
        optimizer.apply_gradients(zip(gradient, variables, strict=True))
    assert np.all(np.asarray(variables[0]) > 0)
