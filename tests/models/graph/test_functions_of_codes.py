"""Tanh and sigmoid behind ranges of every kind: a table of all codes of the grid in front."""

import keras
import numpy as np
import pytest

import pams_tf


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(5)
    image = x = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv2D(6, 3, padding="same", activation="tanh")(x)
    x = keras.layers.Conv2D(6, 3, padding="same", activation="tanh")(x)
    x = keras.layers.Conv2D(12, 3, padding="same", activation="sigmoid")(x)
    x = keras.layers.Rescaling(255.0)(keras.layers.Lambda(_shuffled)(x))
    return keras.Model(image, x)


def _shuffled(x):
    import tensorflow as tf

    return tf.nn.depth_to_space(x, 2)


@pytest.mark.parametrize(
    "recipe",
    [
        pams_tf.QuantizationRecipe(scope="all"),
        pams_tf.QuantizationRecipe(scope="all", method="tflite"),
        pams_tf.QuantizationRecipe(scope="all", asymmetric=True),
        pams_tf.QuantizationRecipe.best(bits=4, scope="all"),
    ],
    ids=["pams", "tflite", "asymmetric", "best"],
)
def test_a_file_is_the_student_code_by_code(network, recipe):
    images = np.random.default_rng(8).uniform(0, 255, (2, 24, 24, 3)).astype(np.float32)
    start = recipe.best_start
    student = pams_tf.quantize(pams_tf.from_keras(network), recipe, images, **start)
    content = pams_tf.convert(student, input_size=(24, 24))
    assert pams_tf.verify(student, content).failures() == []
