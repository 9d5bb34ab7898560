"""Networks as users write them: the walk equals the model, and the file equals the student."""

import numpy as np
import pytest

import pams_tf
from pams_tf.data import datasets
from pams_tf.evaluation.upscaler import keras_function
from pams_tf.litert.interpreter import ImageInterpreter
from pams_tf.models import from_keras
from tests.models.graph import networks

RECIPE = pams_tf.QuantizationRecipe(bits=8, scope="all", per_channel=True, unsigned=True)


def picture(channels, seed=0, size=(36, 24)):
    """Smooth waves and noise, whole numbers in [0, 255]."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(size)[..., None]
    waves = 127 + 90 * np.sin(0.3 * y + 0.2 * x + np.arange(channels))
    return np.clip(np.rint(waves + rng.normal(0, 15, (*size, channels))), 0, 255)


@pytest.fixture(params=list(networks.NETWORKS))
def model(request):
    return networks.build(request.param)


def test_the_file_is_the_student_and_the_walk_the_model(model):
    white = getattr(model, "white", 255.0)
    network = from_keras(model, image_range=white)
    image = picture(network.channels)
    lr = image[None].astype(np.float32)
    expected = np.asarray(model(lr * np.float32(white / 255))) * (255 / white)
    np.testing.assert_allclose(
        np.clip(network(lr), 0, 255), np.clip(expected, 0, 255), rtol=0, atol=1e-3
    )
    assert np.ptp(np.clip(expected, 0, 255)) > 50  # a picture, so that the comparison means much

    student = pams_tf.quantize(
        network, RECIPE, [picture(network.channels, seed) for seed in (1, 2)]
    )
    content = pams_tf.convert(student, image.shape[:2])
    file = ImageInterpreter(content, num_threads=1)
    found = file.run(image.astype(np.uint8))
    simulated = keras_function(student, student.channels)(image.astype(np.uint8))
    np.testing.assert_array_equal(found, simulated)
    assert np.abs(found - np.clip(expected[0], 0, 255)).mean() < 12  # it computes the network


@pytest.mark.parametrize(
    "name", ["conv_separable", "prelu", "transpose_valid_crop", "anchor_tiled"]
)
def test_the_proof_finds_every_layer_in_the_file(name):
    network = from_keras(networks.build(name))
    student = pams_tf.quantize(network, RECIPE, [picture(3, 1)])
    pair = pairs_of(picture(3, 2).astype(np.uint8), network.scale)
    assert pams_tf.verify(student, pams_tf.convert(student, None), pair).failures() == []


def pairs_of(image, scale):
    """One pair without files."""
    pairs = datasets.ImagePairs("one", scale, ("one",), (), ())
    enlarged = image.repeat(scale, axis=0).repeat(scale, axis=1)
    object.__setattr__(pairs, "load", lambda index: (image, enlarged))
    return pairs
