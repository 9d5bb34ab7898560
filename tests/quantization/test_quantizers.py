"""The layers: calibration as Eq. 4, alphas that stay positive, kernels on the grid, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pams_tf.quantization import PamsQuantizer, QuantConv2D, RangeQuantizer, functional


def test_observe_follows_equation_4(golden):
    data = golden("alpha_ema")
    quantizer = PamsQuantizer(8)
    alphas = []
    for x in data["x"]:
        quantizer.observe(x.transpose(0, 2, 3, 1))
        alphas.append(float(quantizer.alpha))
    np.testing.assert_allclose(alphas, data["alpha"], rtol=1e-6)
    assert int(quantizer.observations) == len(alphas)


def test_observe_is_a_running_mean_of_sample_maxima():
    x = np.random.default_rng(1).normal(size=(3, 4, 5, 5, 2)).astype(np.float32)
    quantizer = PamsQuantizer(8, beta=0.75)
    expected = None
    for batch in x:
        observed = np.abs(batch).max(axis=(1, 2, 3)).mean()
        expected = observed if expected is None else 0.75 * expected + 0.25 * observed
        quantizer.observe(batch)
    np.testing.assert_allclose(float(quantizer.alpha), expected, rtol=1e-6)


def test_the_maximum_rule_keeps_the_largest_value():
    x = np.random.default_rng(1).normal(size=(3, 4, 5, 5, 2)).astype(np.float32)
    quantizer = PamsQuantizer(8, calibration="maximum", initial_alpha=100.0)
    for step, batch in enumerate(x, start=1):
        quantizer.observe(batch)
        assert float(quantizer.alpha) == np.abs(x[:step]).max()


def test_calibration_continues_after_save_and_load(tmp_path):
    x = np.random.default_rng(2).normal(size=(4, 2, 6, 6, 3)).astype(np.float32)

    def network():
        image = keras.Input((6, 6, 3))
        return keras.Model(image, PamsQuantizer(8, beta=0.5, name="q")(image))

    whole = network()
    for batch in x:
        whole.get_layer("q").observe(batch)
    first = network()
    for batch in x[:2]:
        first.get_layer("q").observe(batch)
    first.save(tmp_path / "half.keras")
    second = keras.saving.load_model(tmp_path / "half.keras")
    for batch in x[2:]:
        second.get_layer("q").observe(batch)
    assert float(second.get_layer("q").alpha) == float(whole.get_layer("q").alpha)


def test_alpha_stays_positive_under_a_wild_optimizer():
    quantizer = PamsQuantizer(8, initial_alpha=0.5)
    optimizer = keras.optimizers.SGD(1e6)
    optimizer.apply_gradients([(tf.constant(1.0), quantizer.alpha)])
    assert float(quantizer.alpha) > 0
    y = quantizer(np.array([[1.0, -1.0]], np.float32))
    assert np.isfinite(y).all()


def test_observing_nothing_but_zeros_keeps_alpha_positive():
    quantizer = PamsQuantizer(8)
    quantizer.observe(np.zeros((2, 4, 4, 1), np.float32))
    assert float(quantizer.alpha) > 0


def test_quant_conv_is_a_convolution_of_the_quantized_kernel():
    x = np.random.default_rng(4).normal(size=(2, 7, 8, 3)).astype(np.float32)
    layer = QuantConv2D(5, 3, bits=4, padding="same", activation="relu")
    y = layer(x)
    layer.bias.assign(np.linspace(-0.2, 0.2, 5))
    y = layer(x)
    kernel = functional.max_abs(layer.kernel, 4)
    expected = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + layer.bias)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    codes = layer.quantized_kernel() / (functional.max_abs_range(layer.kernel) / 7)
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-5)
    assert len(np.unique(np.rint(codes))) > 8


def test_quant_conv_trains_its_float_kernel():
    layer = QuantConv2D(2, 3, bits=2, padding="same")
    x = np.random.default_rng(5).normal(size=(1, 5, 5, 1)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) ** 2)
    gradient = tape.gradient(loss, layer.kernel.value)
    assert np.abs(gradient).min() > 0


def test_range_quantizer_has_the_grid_of_an_int8_tensor():
    low, high = -114.444, 152.0
    x = np.linspace(-130, 170, 999, dtype=np.float32)[None]
    y = RangeQuantizer(low, high)(x).numpy()
    scale = (high - low) / 255
    codes = np.unique(np.rint(y / scale))
    np.testing.assert_allclose(y / scale, np.rint(y / scale), atol=1e-3)
    assert len(codes) == 256
    assert 0 in codes


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_quantizers_compute_in_float32(policy):
    keras.config.set_dtype_policy(policy)
    try:
        quantizer = PamsQuantizer(8, initial_alpha=100.0)
        x = np.random.default_rng(6).uniform(-100, 100, (1, 500)).astype(np.float32)
        np.testing.assert_array_equal(quantizer(x), functional.pams(x, 100.0, 8))
    finally:
        keras.config.set_dtype_policy("float32")


def test_every_layer_survives_save_and_load(tmp_path):
    image = keras.Input((None, None, 3))
    x = RangeQuantizer(-1.0, 2.0, name="range")(image)
    x = QuantConv2D(4, 3, bits=4, per_channel=True, padding="same", name="conv")(x)
    x = PamsQuantizer(4, "rounding", 0.7, beta=0.9, name="q")(x)
    model = keras.Model(image, x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for layer, twin in zip(model.layers, loaded.layers, strict=True):
        assert layer.get_config() == twin.get_config()
    batch = np.random.default_rng(7).normal(size=(1, 9, 9, 3)).astype(np.float32)
    np.testing.assert_array_equal(model(batch), loaded(batch))


def test_bad_arguments_name_the_value():
    with pytest.raises(ValueError, match="bits=1 "):
        PamsQuantizer(1)
    with pytest.raises(ValueError, match="calibration='mean' .*ema or maximum"):
        PamsQuantizer(8, calibration="mean")
    with pytest.raises(ValueError, match="bits=33 "):
        QuantConv2D(1, 1, bits=33)
    with pytest.raises(ValueError, match=r"\[1, 2\]"):
        RangeQuantizer(1, 2)
