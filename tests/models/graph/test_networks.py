"""Networks as users write them: the walk equals the model, and the file equals the student."""

import json

import numpy as np
import pytest

import pams_tf
from pams_tf.data import datasets
from pams_tf.evaluation.upscaler import keras_function
from pams_tf.litert.interpreter import ImageInterpreter
from pams_tf.litert.receptive_field import receptive_field
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

    content, found, simulated = file_and_codes(network, RECIPE, image)
    np.testing.assert_array_equal(found, simulated)
    reach = receptive_field(content)
    if reach.radius is None:
        assert network.reach.radius is None
        assert any(step.call == "mean" for step in network.graph.steps)
    else:
        assert reach.step == network.reach.step
        seen = farthest(network)
        assert seen <= network.reach.radius <= reach.radius
        # A kernel with zeros at its border sees less than its size says, and ceilings hide much.
        has_ceiling = '"ceiling": ' in json.dumps(network.graph.to_dict())
        assert reach.radius <= seen + reach.step or has_ceiling
    assert np.abs(found - np.clip(expected[0], 0, 255)).mean() < 12  # it computes the network


@pytest.mark.parametrize(
    "name",
    [
        *("conv_dilated", "conv_depthwise_multiplier", "conv_grouped", "transpose_valid_crop"),
        *("relu_bounded", "leaky_relu", "prelu", "swish", "hard_functions", "normalized", "sums"),
        *("attention_dense", "bilinear_features", "anchor_bilinear", "concatenated_ceilings"),
    ],
)
def test_the_file_of_4_bits_is_the_student(name):
    network = from_keras(networks.build(name))
    _, found, simulated = file_and_codes(network, RECIPE.replace(bits=4), picture(3))
    np.testing.assert_array_equal(found, simulated)
    assert len(np.unique(found)) > 20


def file_and_codes(network, recipe, image):
    """The file, and what LiteRT and Keras make of an image with it, in bytes."""
    images = [picture(network.channels, seed) for seed in (1, 2)]
    student = pams_tf.quantize(network, recipe, images)
    content = pams_tf.convert(student, image.shape[:2])
    image = image.astype(np.uint8)
    found = ImageInterpreter(content, num_threads=1).run(image)
    return content, found, keras_function(student, student.channels)(image)


def farthest(network, size=(36, 24)):
    """How far from a pixel that is changed the float network's result changes, in LR pixels.

    With strides, of pixels at every place within a step.
    """
    base, middle = picture(network.channels, 3, size), np.int32(size) // 2
    places = [middle // network.reach.step * network.reach.step + place
              for place in range(network.reach.step)]  # fmt: skip
    images = np.stack([base] * (1 + 2 * len(places))).astype(np.float32)
    for index, place in enumerate(places * 2, 1):
        pixel = images[index][tuple(place)]
        pixel[:] = 255 - pixel if index <= len(places) else pixel + 300
    results = np.asarray(network(images))
    changed = (np.abs(results[1:] - results[0]) > 1e-3).any(axis=-1)
    return max(
        int(np.abs(np.argwhere(where) // network.scale - place).max(initial=0))
        for where, place in zip(changed, places * 2, strict=True)
    )


@pytest.mark.parametrize(
    "name",
    [
        *("conv_depthwise", "conv_separable", "conv_grouped", "conv_stride_nearest"),
        *("transpose_valid_crop", "prelu", "relu_of_a_tensor_with_other_readers"),
        *("space_to_depth", "split_channels", "concatenated_branches", "anchor_tiled"),
        "bilinear_features",
    ],
)
def test_the_proof_finds_every_layer_in_the_file(name):
    prove(from_keras(networks.build(name)), RECIPE)


@pytest.mark.parametrize("name", ["conv_stride_nearest", "attention"])
def test_the_proof_of_4_bits_in_the_body_alone(name):
    """The student is float in head and tail; its file is not, with ranges from the same images."""
    prove(from_keras(networks.build(name)), RECIPE.replace(bits=4, scope="body"))


def prove(network, recipe):
    images = [picture(3, 1)]
    student = pams_tf.quantize(network, recipe, images)
    content = pams_tf.convert(student, None, images)
    pair = pairs_of(picture(3, 2).astype(np.uint8), network.scale)
    assert pams_tf.verify(student, content, pair).failures() == []


def pairs_of(image, scale):
    """One pair without files."""
    pairs = datasets.ImagePairs("one", scale, ("one",), (), ())
    enlarged = image.repeat(scale, axis=0).repeat(scale, axis=1)
    object.__setattr__(pairs, "load", lambda index: (image, enlarged))
    return pairs
