"""A student computes with the integers of its file: compiled or not, at any width, at any range."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pams_tf import InputError, QuantizationRecipe, convert, models, quantize, verify
from pams_tf.evaluation.upscaler import keras_upscale, tflite_upscale
from pams_tf.models.limits import check_limits, largest_sums
from pams_tf.quantization import quantizers
from pams_tf.quantization.base import SMALLEST_ALPHA
from pams_tf.quantization.functional.codes import EXACT

RECIPES = [
    {"bits": 8, "per_channel": True},
    {"bits": 4},
    {"bits": 4, "method": "tflite"},
    {"bits": 3, "unsigned": True, "alpha_gradient": "rounding"},
]


def loss_gradients(network, images, jit):
    variables = [v.value for v in network.trainable_variables]

    @tf.function(jit_compile=jit)
    def compute(x):
        with tf.GradientTape() as tape:
            y = network(x, training=False)
            loss = tf.reduce_mean(tf.abs(y - 100.0))
        return y, tape.gradient(loss, variables)

    y, gradients = compute(tf.constant(np.round(images)))
    return y.numpy(), [np.asarray(g) for g in gradients]


@pytest.mark.parametrize(
    ("name", "recipe"), [("edsr_nano", RECIPES[0]), ("edsr_nano", RECIPES[2]), ("rdn", RECIPES[1])]
)
def test_compiled_by_xla_it_computes_the_same_integers(student, images, name, recipe):
    network = student(name, scope="all", **recipe)
    plain, plain_gradients = loss_gradients(network, images, jit=False)
    compiled, compiled_gradients = loss_gradients(network, images, jit=True)
    np.testing.assert_array_equal(np.rint(compiled), np.rint(plain))
    for ours, theirs in zip(compiled_gradients, plain_gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3 * np.abs(theirs).max())


@pytest.mark.parametrize("scope", ["all", "body"])
@pytest.mark.parametrize("recipe", RECIPES[:3], ids=str)
def test_its_gradients_are_those_of_simulated_quantization(
    student, images, scope, recipe, monkeypatch
):
    """Straight through: as in the float simulation of the same network, but for rounded ties."""
    network = student(scope=scope, **recipe)
    y, gradients = loss_gradients(network, images, jit=False)
    monkeypatch.setattr(QuantizationRecipe, "fits_int8", False)
    simulated = models.build(*network.identity[:2], network.recipe, **network.overrides)
    simulated.set_weights(network.get_weights())
    expected, expected_gradients = loss_gradients(simulated, images, jit=False)
    assert np.abs(y - expected).mean() < 1
    compared = 0
    for ours, theirs, variable in zip(
        gradients, expected_gradients, network.trainable_variables, strict=True
    ):
        if not np.any(theirs):
            assert not np.any(ours), variable.path
            continue
        ours, theirs = np.ravel(ours), np.ravel(theirs)
        if theirs.size > 1:
            alike = ours @ theirs / (np.linalg.norm(ours) * np.linalg.norm(theirs))
            assert alike > 0.98, variable.path
            assert 0.9 < np.linalg.norm(ours) / np.linalg.norm(theirs) < 1.1, variable.path
            compared += 1
    assert compared > 10


def test_a_bias_trains_through_its_rounding(student, images):
    """Half a unit of the sum is nothing to the network, and still has the gradient of values."""
    network = student(scope="all")
    bias = network.get_layer("body").bias
    (site,) = (s for s in network.convolutions if s.result.layer.name == "body")
    unit = float(site.unit(training=False))
    _, codes, _ = site.in_file()
    bias.assign(codes * unit)
    before, gradients = loss_gradients(network, images, jit=False)
    bias.assign(codes * unit + 0.4 * unit)
    after, _ = loss_gradients(network, images, jit=False)
    np.testing.assert_array_equal(after, before)
    index = [v.path for v in network.trainable_variables].index(bias.path)
    assert np.all(gradients[index] != 0)


def test_sums_beyond_float32_are_computed_in_float64(images):
    """176 channels of one sign: 9 * 176 * 127 * 127 is more than 2^24."""
    keras.utils.set_random_seed(4)
    teacher = models.build("edsr_nano", 2, blocks=1, features=176)
    for layer in teacher.layers:
        if layer.name.startswith("block_0_conv") and hasattr(layer, "kernel"):
            layer.kernel.assign(np.abs(layer.kernel.numpy()) ** 0.1 / 176)
    student = quantize(teacher, QuantizationRecipe(scope="all"), images)
    bounds = largest_sums(student)
    assert bounds["block_0_conv_1"] > EXACT > bounds["head"]
    with pytest.warns(UserWarning, match="sums of .*block_0_conv_1.* could pass 2\\^24.*float64"):
        content = convert(student, (24, 24))
    image = images[0].astype(np.uint8)
    np.testing.assert_array_equal(tflite_upscale(content)(image), keras_upscale(student)(image))


def test_a_dead_tensor_is_exact_too(student, pairs):
    """A range near its minimum: nearly everything is clipped, and biases are millions of units."""
    network = student(scope="all")
    rng = np.random.default_rng(1)
    network.get_layer("block_0_relu").alpha.assign(4 * SMALLEST_ALPHA)
    for layer in network.layers:
        if layer.name.startswith("block") and hasattr(layer, "kernel"):
            layer.bias.assign(rng.normal(0, 2, layer.bias.shape))
            layer.kernel.assign(layer.kernel * np.where(np.arange(layer.filters) == 2, 0, 1))
    sums = largest_sums(network)
    assert max(sums.values()) > EXACT
    assert verify(network, convert(network, (8, 8)), pairs, num_threads=1).failures() == []


@pytest.mark.parametrize("name", ["block_1_input", "block_0_residual"])
def test_a_range_that_no_kernel_can_be_brought_to_is_refused(student, name):
    network = student(scope="all")
    network.get_layer(name).alpha.assign(SMALLEST_ALPHA / 10)
    with pytest.raises(InputError, match=f"the range of {name} is dead: its scale is .* finer"):
        convert(network, (8, 8))


def test_sums_beyond_int32_are_refused_with_the_layers_name(student):
    network = student(scope="all")
    network.get_layer("block_0_conv_1").bias.assign(np.full(8, 1e9))
    message = r"sums of the convolution block_0_conv_1 could reach .* beyond int32"
    with pytest.raises(InputError, match=message):
        convert(network, (8, 8))
    with pytest.raises(InputError, match=message):
        check_limits(network)


def test_sixteen_bits_stay_simulated(images):
    """No integer file holds them, and float32 could not sum their products."""
    teacher = models.build("edsr_nano", 2, blocks=1, features=4)
    student = quantize(teacher, QuantizationRecipe(bits=16), images[:1])
    assert student.sites == {}
    assert len(quantizers(student)) == 3
    np.testing.assert_allclose(student(images[:1]), teacher(images[:1]), atol=0.5)
