"""The first convolution of a plain network, which is trained on an image less its middle."""

import keras
import numpy as np
import pytest

from pams_tf import models
from pams_tf.data import datasets
from pams_tf.models.centring import CentredConv2D
from pams_tf.models.network import SuperResolution
from pams_tf.runs import RunFolder
from pams_tf.training.jobs import train
from pams_tf.training.settings import TrainingSettings

SMALL = {"convolutions": 1, "features": 8}


def image(photo):
    return photo(20, 24)[None].astype(np.float32)


def centred(scale=2, **overrides):
    keras.utils.set_random_seed(3)
    return SuperResolution("plain_small", scale, overrides=SMALL | overrides, centred=True)


@pytest.mark.parametrize("kernel_size", [3, (1, 5)])
def test_a_plain_convolution_with_another_bias_computes_the_same(photo, kernel_size):
    layer = CentredConv2D(6, kernel_size, padding="same", bias_initializer="random_normal")
    plain = keras.layers.Conv2D(6, kernel_size, padding="same")
    expected = layer(image(photo))
    plain(image(photo))
    plain.set_weights([layer.kernel, layer.merged_bias()])
    np.testing.assert_allclose(plain(image(photo)), expected, atol=2e-3)
    layer.bias.assign(plain.bias)
    layer.centre()
    np.testing.assert_allclose(layer(image(photo)), expected, atol=2e-3)


def test_a_merged_network_computes_the_same(photo):
    network = centred()
    network.get_layer("conv_0").bias.assign(np.linspace(-9, 9, 8))
    plain = models.merged(network)
    assert type(plain.get_layer("conv_0")) is keras.layers.Conv2D
    assert plain.overrides == network.overrides
    np.testing.assert_allclose(plain(image(photo)), network(image(photo)), atol=2e-3)


def test_training_begins_with_the_network_that_it_is_given(photo):
    source = models.merged(centred())
    network = SuperResolution("plain_small", 2, overrides=SMALL, centred=True)
    assert models.begin_with(network, source) == 0
    np.testing.assert_allclose(network(image(photo)), source(image(photo)), atol=2e-3)


def test_only_an_image_behind_which_is_a_relu_is_centred():
    def kinds(network):
        return [layer.name for layer in network.layers if isinstance(layer, CentredConv2D)]

    assert kinds(centred()) == ["conv_0"]
    assert kinds(models.build("plain_small", 2, **SMALL)) == []
    assert kinds(centred(expansion=8)) == []
    assert kinds(SuperResolution("edsr_nano", 2, overrides={"blocks": 1}, centred=True)) == []


def test_a_photograph_passes_a_first_filter_in_places():
    """Of the image itself, many filters are on or off nearly everywhere from the beginning."""
    photograph = datasets.sample(2, "valid").load(1)[0][None].astype(np.float32)
    constant = {}
    for network in (centred(features=64), models.build("plain_small", 2, features=64)):
        layer = network.get_layer("conv_0")
        on = (layer(photograph).numpy() > 0).mean((0, 1, 2))
        constant[type(layer)] = np.mean((on < 0.05) | (on > 0.95))
    assert constant[CentredConv2D] < constant[keras.layers.Conv2D] / 2


def test_what_is_trained_is_kept_as_plain_convolutions(tmp_path, photo):
    settings = TrainingSettings(
        model="plain_small", scale=2, overrides=SMALL, steps=3, batch_size=2, patch_size=12,
        learning_rate=1e-2, optimizer="muon", checkpoint_every=3, log_every=1,
    )  # fmt: skip
    run = RunFolder(tmp_path / "run")
    result = train(settings, run)
    kept = models.load(run.model)
    assert type(kept.get_layer("conv_0")) is keras.layers.Conv2D
    np.testing.assert_array_equal(kept(image(photo)), result.network(image(photo)))
    assert np.any(kept.get_layer("conv_0").bias.numpy() != 0)
