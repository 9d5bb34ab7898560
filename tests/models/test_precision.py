"""Networks built under a mixed precision: the student keeps its integers, the image its values."""

import numpy as np
import pytest
import tensorflow as tf

from pams_tf import QuantizationRecipe, models, quantize
from pams_tf.training.precision import dtype_policy
from tests.models.graph import networks
from tests.models.graph.test_networks import picture


def in_precision(network, name):
    with dtype_policy(name):
        return models.with_recipe(network, network.recipe)


def losses_and_gradients(network, lr):
    variables = [v.value for v in network.trainable_variables]

    @tf.function
    def compute(lr):
        with tf.GradientTape() as tape:
            image = network(lr, training=True)
            loss = tf.reduce_mean(tf.abs(image - 100.0))
        return image, tape.gradient(loss, variables)

    image, gradients = compute(tf.constant(lr, tf.float32))
    return image.numpy(), [np.ravel(np.asarray(g, np.float64)) for g in gradients]


def grouped(gradients):
    """Those of scalars, the ranges, as one vector: one alone may be next to nothing."""
    scalars = [g for g in gradients if g.size == 1]
    return [g for g in gradients if g.size > 1] + ([np.concatenate(scalars)] if scalars else [])


@pytest.mark.parametrize(
    ("name", "recipe", "precision"),
    [
        ("edsr_nano", {"bits": 4}, "mixed_bfloat16"),
        ("plain_small", {"bits": 8, "method": "tflite"}, "mixed_bfloat16"),
        ("prelu", {"bits": 8, "unsigned": True, "per_channel": True}, "mixed_bfloat16"),
        ("prelu", {"bits": 8, "unsigned": True, "per_channel": True}, "mixed_float16"),
        ("swish", {"bits": 8}, "mixed_bfloat16"),
        ("anchor_tiled", {"bits": 8, "per_channel": True}, "mixed_bfloat16"),
    ],
)
def test_a_student_computes_the_same_integers_and_nearly_the_same_gradients(
    name, recipe, precision
):
    own = name in networks.NETWORKS
    network = models.from_keras(networks.build(name)) if own else models.build(name, 2)
    recipe = QuantizationRecipe(scope="all", **recipe)
    student = quantize(network, recipe, [picture(network.channels, 1)])
    mixed = in_precision(student, precision)
    assert {v.dtype for v in mixed.variables} == {"float32", "int32"}
    lr = picture(network.channels)[None]
    expected, expected_gradients = losses_and_gradients(student, lr)
    found, gradients = losses_and_gradients(mixed, lr)
    np.testing.assert_array_equal(found, expected)
    assert any((a != b).any() for a, b in zip(gradients, expected_gradients, strict=True))
    for ours, theirs in zip(grouped(gradients), grouped(expected_gradients), strict=True):
        assert np.linalg.norm(ours - theirs) <= 0.02 * np.linalg.norm(theirs)


@pytest.mark.parametrize(
    "name", ["edsr_nano", "edsr_baseline", "rdn_a", "plain_small", "anchor", "rescaled_ends"]
)
def test_the_image_of_a_float_network_is_not_rounded(name):
    """To bfloat16, whose steps are whole grey levels from 128 up."""
    own = name in networks.NETWORKS
    small = {"blocks": 1, "layers": 1} if name == "rdn_a" else {}
    network = models.from_keras(networks.build(name)) if own else models.build(name, 2, **small)
    mixed = in_precision(network, "mixed_bfloat16")
    image = np.asarray(mixed(picture(network.channels)[None].astype(np.float32)))
    assert image.dtype == np.float32
    assert (image != np.asarray(tf.cast(tf.cast(image, tf.bfloat16), tf.float32))).mean() > 0.9
