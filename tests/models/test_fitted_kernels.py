"""Kernels of a student that are fitted to the float network."""

import keras
import numpy as np
import pytest

import pams_tf
from pams_tf.errors import InputError
from pams_tf.models import fit_kernels
from pams_tf.quantization import QuantConv2D

RECIPE = pams_tf.QuantizationRecipe(bits=4, scope="all", per_channel=True, unsigned=True)
IMAGES = np.random.default_rng(5).integers(0, 256, (4, 40, 40, 3)).astype(np.float32)
OTHERS = np.random.default_rng(6).integers(0, 256, (2, 20, 28, 3)).astype(np.float32)


def smooth(images):
    """Neighbours that resemble each other, as those of photographs do."""
    return sum(np.roll(images, (i, j), (1, 2)) for i in range(3) for j in range(3)) / 9


def network(kind="plain"):
    keras.utils.set_random_seed(3)
    layers = keras.layers
    x = image = keras.Input((None, None, 3))
    shared = layers.Conv2D(12, 3, padding="same", activation="relu", name="shared")
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name="first")(x)
    if kind == "shared":
        x = shared(shared(x))
    if kind == "depthwise":
        x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="deep")(x)
    if kind == "grouped":
        x = layers.Conv2D(12, 3, padding="same", groups=3, activation="relu", name="groups")(x)
    if kind == "dilated":
        x = layers.Conv2D(12, 3, padding="valid", dilation_rate=2, name="wide")(x)
        x = layers.ZeroPadding2D(2)(x)
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name="second")(x)
    x = layers.Conv2D(12, 3, padding="same", name="tail")(x)
    model = keras.Model(image, keras.ops.nn.depth_to_space(x, 2))
    rng = np.random.default_rng(7)
    for layer in model.layers:
        if getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.normal(size=layer.bias.shape))
    return pams_tf.from_keras(model)


def error(student, teacher):
    lr = smooth(OTHERS)
    return float(np.mean((np.asarray(student(lr)) - np.asarray(teacher(lr))) ** 2))


@pytest.mark.parametrize("kind", ["plain", "shared", "depthwise", "grouped", "dilated"])
def test_fitted_kernels_bring_images_they_have_not_seen_nearer(kind):
    teacher = network(kind)
    plain = pams_tf.quantize(teacher, RECIPE, smooth(IMAGES))
    student = pams_tf.quantize(teacher, RECIPE, smooth(IMAGES), initial_weights="fitted")
    # How much rounded activations leave to gain depends on the network.
    assert error(student, teacher) < (0.7 if kind == "plain" else 0.95) * error(plain, teacher)
    for layer in student.layers:
        if isinstance(layer, QuantConv2D) and layer.name != "shared":
            kernel = layer.kernel.numpy()
            step = np.asarray(layer.step()).min()
            np.testing.assert_allclose(layer.quantized_kernel(), kernel, atol=1e-3 * step)


def test_a_shared_kernel_is_left_as_it_is():
    teacher = network("shared")
    student = pams_tf.quantize(teacher, RECIPE, smooth(IMAGES), initial_weights="fitted")
    theirs, ours = (net.get_layer("shared").kernel.numpy() for net in (teacher, student))
    np.testing.assert_array_equal(ours, theirs)
    assert (student.get_layer("first").kernel.numpy() != teacher.get_layer("first").kernel).any()


@pytest.mark.parametrize("bits", [4, 8])
def test_the_file_is_the_student(bits):
    recipe = RECIPE.replace(bits=bits)
    student = pams_tf.quantize(
        network(), recipe, smooth(IMAGES), initial_range="error", initial_weights="fitted"
    )
    content = pams_tf.convert(student, input_size=(20, 28))
    assert not pams_tf.verify(student, content).failures()


def test_batch_normalization_and_the_body_alone():
    from pams_tf import models

    keras.utils.set_random_seed(2)
    teacher = models.build("edsr_nano", 2, batch_norm=True)
    for layer in teacher.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            rng = np.random.default_rng(8)
            for variable in layer.variables:
                variable.assign(rng.uniform(0.5, 2.0, variable.shape))
    recipe = pams_tf.QuantizationRecipe(bits=4)
    plain = pams_tf.quantize(teacher, recipe, smooth(IMAGES))
    student = pams_tf.quantize(teacher, recipe, smooth(IMAGES), initial_weights="fitted")
    assert error(student, teacher) < 0.95 * error(plain, teacher)
    assert not isinstance(student.get_layer("head"), QuantConv2D)


@pytest.mark.parametrize(
    "recipe", [RECIPE.replace(method="dorefa", unsigned=False), RECIPE.replace(bits=16)]
)
def test_weights_without_a_grid_of_their_own(recipe):
    with pytest.raises(InputError, match="kernels can be fitted for methods pams, pact and tflite"):
        pams_tf.quantize(network(), recipe, IMAGES, initial_weights="fitted")


def test_without_images():
    teacher = network()
    with pytest.raises(InputError, match="at least one batch"):
        fit_kernels(pams_tf.quantize(teacher, RECIPE, IMAGES), teacher, [])


@pytest.mark.parametrize("setting", [{"initial_weights": "best"}, {"initial_range": "random"}])
def test_unknown_settings(setting):
    with pytest.raises(InputError, match="is not possible; choose one of"):
        pams_tf.quantize(network(), RECIPE, IMAGES, **setting)


def test_a_percentile_is_not_for_a_search():
    with pytest.raises(InputError, match="looks for the best range itself"):
        pams_tf.quantize(network(), RECIPE, IMAGES, initial_range="error", percentile=99.9)
