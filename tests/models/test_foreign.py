"""Keras networks of the user's own: what is refused, how they are saved, and their equalization."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

import pams_tf
from pams_tf import InputError, models
from pams_tf.models import from_keras
from pams_tf.models.equalization import channel_ranges, factors
from tests.models.graph import networks

RECIPE = pams_tf.QuantizationRecipe(scope="all", per_channel=True, unsigned=True)
IMAGES = np.random.default_rng(5).integers(0, 256, (2, 20, 24, 3)).astype(np.float32)


def image():
    return keras.Input((None, None, 3))


def enlarged(x, name="tail"):
    return ops.nn.depth_to_space(layers.Conv2D(12, 3, padding="same", name=name)(x), 2)


def test_all_layers_without_an_integer_form_are_in_one_message():
    x = start = image()
    x = layers.Conv2D(4, 3, padding="same", name="first")(x)
    x = layers.LayerNormalization(name="norm")(x)
    y = keras.Sequential([layers.Softmax(name="attention")], name="block")(
        layers.Conv2D(4, 3, padding="same")(start)
    )
    x = layers.Multiply()([x, y])
    with pytest.raises(InputError) as caught:
        from_keras(keras.Model(start, enlarged(x), name="mine"))
    message = str(caught.value)
    assert message.startswith("mine: 2 of its layers cannot be integer: ")
    assert "norm (LayerNormalization): it computes statistics" in message
    assert "block/attention (Softmax): softmax attention has no integer form here" in message


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (layers.PReLU(), "a slope for each pixel; give shared_axes"),
        (layers.MaxPooling2D(2, strides=1, padding="same"), "use a Conv2D with stride 2"),
        (layers.Dense(4), "Conv2D with a 1x1 kernel"),
        (layers.UpSampling2D(1, interpolation="bilinear"), "use 'nearest'"),
        (layers.Activation("gelu"), "activation='gelu' has no integer form"),
    ],
)
def test_refused_layers_say_what_would_do(layer, reason):
    start = keras.Input((8, 8, 3)) if isinstance(layer, layers.PReLU) else image()
    with pytest.raises(InputError, match=reason):
        from_keras(keras.Model(start, enlarged(layer(start))))


class Subclassed(keras.Model):
    def call(self, x):
        return ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)


def two_inputs():
    first, second = image(), image()
    return keras.Model([first, second], enlarged(layers.Add()([first, second])))


def two_outputs():
    start = image()
    return keras.Model(start, [enlarged(start, "tail"), enlarged(start, "other")])


def four_channels():
    start = keras.Input((None, None, 4))
    return keras.Model(start, enlarged(start))


def no_whole_scale():
    start = image()
    return keras.Model(start, layers.Conv2D(3, 3)(start))


def not_finite():
    start = image()
    model = keras.Model(start, enlarged(start))
    model.get_layer("tail").bias.assign(np.full(12, np.nan))
    return model


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Subclassed, "is a subclassed model, .* make it functional"),
        (two_inputs, "has 2 inputs"),
        (two_outputs, "has 2 outputs"),
        (four_channels, "takes 4 channels and gives 3"),
        (no_whole_scale, "enlarges every image by 2, 3 or 4"),
        (not_finite, "tail/bias has values that are not finite"),
    ],
)
def test_refused_models(make, reason):
    with pytest.raises(InputError, match=reason):
        from_keras(make())


def test_a_fixed_input_size_and_a_dead_channel_do_no_harm():
    start = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(start)
    model = keras.Model(start, enlarged(x), name="fixed")
    kernel, bias = model.get_layer("first").get_weights()
    model.get_layer("first").set_weights([kernel * [0, 1, 1, 1], bias - [1, 0, 0, 0]])
    student = pams_tf.quantize(model, RECIPE.replace(equalize=True), IMAGES)
    found = pams_tf.Upscaler(pams_tf.convert(student, None))(IMAGES[0].astype(np.uint8))
    np.testing.assert_array_equal(
        found, np.clip(np.rint(student(IMAGES[:1])), 0, 255)[0].astype(np.uint8)
    )


def test_a_saved_student_carries_its_graph(tmp_path):
    model = networks.build("prelu")
    model.save(tmp_path / "mine.keras")
    network = models.load(tmp_path / "mine.keras")
    assert network.preset == "mine"  # Keras numbers models that nobody has named
    student = pams_tf.quantize(network, RECIPE, IMAGES)
    models.save(student, tmp_path / "student.keras")
    np.save(tmp_path / "images.npy", IMAGES)
    script = (
        "import sys, numpy as np, pams_tf; student = pams_tf.load(sys.argv[1] + '/student.keras');"
        "np.save(sys.argv[1] + '/found.npy', student(np.load(sys.argv[1] + '/images.npy')))"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True)
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), student(IMAGES))


def test_another_layer_can_be_the_feature():
    network = from_keras(networks.build("nested"))
    names = [step.name for step in network.graph.steps if step.call == "convolution"]
    other = network.with_skt_layer(names[0])
    assert other.graph.feature == f"{names[0]}_output" != network.graph.feature
    np.testing.assert_array_equal(other(IMAGES), network(IMAGES))
    with pytest.raises(InputError, match="has no layer 'nowhere'"):
        network.with_skt_layer("nowhere")
    with pytest.raises(InputError, match="is for a network of your own"):
        models.build("edsr_nano", 2, blocks=1, features=3).with_skt_layer("head")


@pytest.mark.parametrize("name", ["prelu", "conv_depthwise", "leaky_relu", "shared_layers"])
def test_equalization_keeps_the_function(name):
    network = from_keras(networks.build(name))
    other = models.equalized(network, IMAGES)
    before, after = (np.clip(x(IMAGES), 0, 255) for x in (network, other))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-3 * max(1, np.ptp(before) / 255))


def test_equalized_channels_fill_the_range_of_their_tensor():
    keras.utils.set_random_seed(1)
    network = models.build("plain_small", 2, convolutions=2, features=6)
    first = network.get_layer("conv_1")
    first.kernel.assign(first.kernel.numpy() * [1, 0.3, 0.1, 1, 0.05, 1e-6])
    network.get_layer("conv_1").bias.assign(np.zeros(6))
    other = models.equalized(network, IMAGES)
    before, after = (
        channel_ranges(x, ["conv_1_output"], [IMAGES])["conv_1_output"] for x in (network, other)
    )
    largest = before.max()
    inside = before > largest / 64
    np.testing.assert_allclose(after[inside], largest, rtol=1e-4)
    assert (after <= largest * 1.0001).all()


def test_factors_fill_one_tensor_and_stay_below_the_other():
    ranges = np.array([[8.0, 4.0, 1.0, 0.0, 0.001], [2.0, 2.0, 0.1, 0.0, 0.001]])
    np.testing.assert_allclose(factors(ranges), [1, 1, 8, 1, 64])


def test_a_lambda_is_refused_with_the_way_to_allow_it(tmp_path):
    start = image()
    x = layers.Lambda(lambda x: x * 0.5, name="half")(start)
    keras.Model(start, enlarged(x)).save(tmp_path / "mine.keras")
    with pytest.raises(InputError, match="has a Lambda layer, .* safe_mode=False"):
        models.load(tmp_path / "mine.keras")
