"""PReLU channels with slopes beyond 1 are turned over, and the function stays."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import pams_tf
from pams_tf.models import equalized, from_keras

IMAGES = np.random.default_rng(5).integers(0, 256, (2, 20, 24, 3)).astype(np.float32)
STEEP = [3.5, -2.0, 0.5, 0.0, 1.0, -0.3]


def network(kind):
    keras.utils.set_random_seed(4)
    x = image = keras.Input((None, None, 3))
    before = x = layers.Conv2D(6, 3, padding="same", name="first")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="prelu")(x)
    if kind == "bent again":
        x = layers.LeakyReLU(0.2)(x)
    if kind == "moved":
        x = layers.ZeroPadding2D(1)(layers.Cropping2D(1)(x))
    y = layers.Conv2D(12, 3, padding="same", name="tail")(x)
    if kind == "read twice":
        y = layers.Add()([y, layers.Conv2D(12, 1, name="second")(x)])
    if kind == "read in front":
        y = layers.Add()([y, layers.Conv2D(12, 1, name="second")(before)])
    model = keras.Model(image, ops.nn.depth_to_space(y, 2))
    model.get_layer("prelu").set_weights([np.float32(STEEP).reshape(1, 1, 6)])
    model.get_layer("first").bias.assign(np.linspace(-9, 9, 6))
    return from_keras(model)


@pytest.mark.parametrize("kind", ["plain", "moved", "read twice", "read in front", "bent again"])
def test_slopes_are_at_most_1_where_they_can_be(kind):
    before = network(kind)
    after = equalized(before, IMAGES)
    slopes = after.get_layer("prelu").alpha.numpy().ravel()
    if kind in ("read in front", "bent again"):
        np.testing.assert_allclose(slopes, STEEP)
    else:
        np.testing.assert_allclose(slopes, [1 / 3.5, -0.5, *STEEP[2:]], rtol=1e-6)
    expected = before(IMAGES).numpy()
    np.testing.assert_allclose(after(IMAGES), expected, rtol=0, atol=1e-5 * np.ptp(expected))


def test_a_finer_grid_of_slopes_is_nearer_to_the_float_network():
    teacher = network("plain")
    recipe = pams_tf.QuantizationRecipe(scope="all", per_channel=True, unsigned=True)
    plain, turned = (
        pams_tf.quantize(teacher, recipe.replace(equalize=equalize), IMAGES)
        for equalize in (False, True)
    )
    errors = [np.mean((x(IMAGES) - teacher(IMAGES)) ** 2) for x in (plain, turned)]
    assert errors[1] < errors[0]
