"""The baselines' layers: which range moves, when, by what; calibration; saving; bad arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pams_tf import QuantizationRecipe
from pams_tf.quantization import (
    DorefaQuantizer,
    MinMaxQuantizer,
    PactQuantizer,
    PamsQuantizer,
    QuantConv2D,
    activation_quantizer,
    functional,
    kernel_quantizer,
)

CLASSES = {
    "pams": PamsQuantizer,
    "dorefa": DorefaQuantizer,
    "tflite": MinMaxQuantizer,
    "pact": PactQuantizer,
}


def batch(seed=1, shape=(4, 5, 5, 2)):
    return np.random.default_rng(seed).normal(1, 3, shape).astype(np.float32)


@pytest.mark.parametrize("method", CLASSES)
def test_the_recipe_chooses_the_layer(method):
    recipe = QuantizationRecipe(method=method, bits=4)
    body = activation_quantizer(recipe, "q", signed=False)
    assert type(body) is CLASSES[method]
    assert (body.bits, body.calibration, body.name) == (4, "ema", "q")
    assert activation_quantizer(recipe, "q", body=False).calibration == "maximum"
    if method != "tflite":
        assert body.unsigned == (method != "pams")
        assert not activation_quantizer(recipe, "q").unsigned
    assert kernel_quantizer(recipe) == ("dorefa" if method == "dorefa" else "max_abs")
    assert kernel_quantizer(recipe, body=False) == "max_abs"


def test_unsigned_pams_is_asked_for():
    recipe = QuantizationRecipe(unsigned=True, scope="all")
    behind_relu = activation_quantizer(recipe, "q", signed=False)
    assert (behind_relu.unsigned, behind_relu.full_range) == (True, False)
    signed = activation_quantizer(recipe, "q")
    assert (signed.unsigned, signed.full_range) == (False, True)


@pytest.mark.parametrize("method", ["pact", "dorefa"])
def test_one_alpha_calibrates_by_equation_4(method):
    quantizer = CLASSES[method](8, beta=0.75)
    expected = None
    for seed in range(3):
        observed = np.abs(batch(seed)).max(axis=(1, 2, 3)).mean()
        expected = observed if expected is None else 0.75 * expected + 0.25 * observed
        quantizer.observe(batch(seed))
    np.testing.assert_allclose(float(quantizer.alpha), expected, rtol=1e-6)


@pytest.mark.parametrize("calibration", ["ema", "maximum"])
def test_min_max_calibrates_both_ends(calibration):
    quantizer = MinMaxQuantizer(8, calibration=calibration, beta=0.75)
    batches = [batch(seed) for seed in range(3)]
    for x in batches:
        quantizer.observe(x)
    for end, sign in ((quantizer.minimum, -1), (quantizer.maximum, 1)):
        reached = np.stack([(sign * x).max(axis=(1, 2, 3)) for x in batches])
        expected = reached.max()
        if calibration == "ema":
            expected = reached[0].mean()
            for maxima in reached[1:]:
                expected = 0.75 * expected + 0.25 * maxima.mean()
        np.testing.assert_allclose(sign * float(end), expected, rtol=1e-6)
    np.testing.assert_allclose(
        float(quantizer.alpha), max(-float(quantizer.minimum), float(quantizer.maximum))
    )


def test_min_max_follows_the_batches_in_training_alone():
    quantizer = MinMaxQuantizer(8, decay=0.9, initial_range=(-1.0, 2.0))
    x = batch()
    before = quantizer(x)
    assert (float(quantizer.minimum), float(quantizer.maximum)) == (-1, 2)
    np.testing.assert_array_equal(before, functional.min_max(x, -1.0, 2.0, 8))
    y = quantizer(x, training=True)
    low, high = 0.9 * -1 + 0.1 * x.min(), 0.9 * 2 + 0.1 * x.max()
    np.testing.assert_allclose(float(quantizer.minimum), low, rtol=1e-6)
    np.testing.assert_allclose(float(quantizer.maximum), high, rtol=1e-6)
    np.testing.assert_allclose(y, functional.min_max(x, low, high, 8), rtol=1e-5, atol=1e-5)


def test_min_max_behind_a_relu_has_no_code_below_zero():
    quantizer = MinMaxQuantizer(4)
    x = np.maximum(batch(), 0)
    quantizer.observe(x)
    assert float(quantizer.minimum) == 0
    assert float(tf.reduce_min(quantizer(x))) == 0


def test_min_max_of_nothing_but_zeros_stays_usable():
    quantizer = MinMaxQuantizer(8)
    quantizer.observe(np.zeros((2, 4, 4, 1), np.float32))
    y = quantizer(np.zeros((2, 4, 4, 1), np.float32), training=True)
    assert float(quantizer.alpha) > 0
    assert not np.any(y)


def test_only_learned_ranges_are_trained():
    trained = {name: len(CLASSES[name](8).trainable_variables) for name in CLASSES}
    assert trained == {"pams": 1, "dorefa": 0, "tflite": 0, "pact": 1}


def test_pacts_decay_is_in_its_losses():
    quantizer = PactQuantizer(8, decay=0.25, initial_alpha=6.0)
    np.testing.assert_allclose(sum(quantizer.losses), 0.25 * 36)
    assert PactQuantizer(8, decay=0.0).losses == []
    assert PamsQuantizer(8).losses == []


@pytest.mark.parametrize("method", CLASSES)
def test_set_range_reaches_to_alpha(method):
    quantizer = CLASSES[method](8)
    quantizer.set_range(3.5)
    assert float(quantizer.alpha) == 3.5
    quantizer.set_range(0.0)
    assert float(quantizer.alpha) > 0


def test_set_range_of_min_max_is_symmetric_where_the_tensor_is_signed():
    signed = activation_quantizer(QuantizationRecipe(method="tflite"), "q")
    behind_relu = activation_quantizer(QuantizationRecipe(method="tflite"), "q", signed=False)
    for quantizer, low in ((signed, -5.0), (behind_relu, 0.0)):
        quantizer.set_range(5.0)
        assert (float(quantizer.minimum), float(quantizer.maximum)) == (low, 5)


def test_every_layer_survives_save_and_load(tmp_path):
    image = keras.Input((None, None, 3))
    x = QuantConv2D(4, 3, bits=4, kernel_quantizer="dorefa", padding="same", name="conv")(image)
    x = MinMaxQuantizer(4, decay=0.5, initial_range=(0.0, 3.0), name="tflite")(x)
    x = PactQuantizer(4, decay=0.125, unsigned=True, name="pact")(x)
    x = DorefaQuantizer(4, full_range=True, name="dorefa")(x)
    x = PamsQuantizer(3, unsigned=True, name="pams")(x)
    model = keras.Model(image, x)
    x = batch(shape=(2, 6, 6, 3))
    for _ in range(3):
        model(x, training=True)
    model.get_layer("dorefa").observe(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for layer, twin in zip(model.layers, loaded.layers, strict=True):
        assert layer.get_config() == twin.get_config()
    np.testing.assert_array_equal(model(x), loaded(x))
    for end in ("minimum", "maximum"):
        saved, found = (getattr(m.get_layer("tflite"), end) for m in (model, loaded))
        assert float(saved) == float(found)
    assert float(loaded.get_layer("tflite").minimum) != 0


def test_a_dorefa_convolution_computes_with_dorefa_weights():
    layer = QuantConv2D(5, 3, bits=3, kernel_quantizer="dorefa", per_channel=True, padding="same")
    x = batch(shape=(2, 7, 8, 3))
    y = layer(x)
    kernel = functional.dorefa_weights(layer.kernel.value, 3, axis=-1)
    np.testing.assert_allclose(y, tf.nn.conv2d(x, kernel, 1, "SAME"), rtol=1e-5, atol=1e-5)
    assert np.abs(kernel - functional.max_abs(layer.kernel.value, 3, axis=-1)).max() > 0.01


def test_bad_arguments_name_the_value():
    with pytest.raises(ValueError, match=r"decay=-1\.0 is not possible; give 0 or more"):
        PactQuantizer(8, decay=-1.0)
    with pytest.raises(ValueError, match=r"decay=1\.5 is not possible; give a number from 0 to 1"):
        MinMaxQuantizer(8, decay=1.5)
    with pytest.raises(ValueError, match=r"\[1, 2\] must contain 0"):
        MinMaxQuantizer(8, initial_range=(1, 2))
    with pytest.raises(ValueError, match="kernel_quantizer='ternary' .*max_abs, learned, dorefa"):
        QuantConv2D(1, 1, kernel_quantizer="ternary")
    for maker in CLASSES.values():
        with pytest.raises(ValueError, match="bits=1 "):
            maker(1)
