"""The start as interpolation: parabolas come out as they are, photographs about as bicubic's."""

import keras
import numpy as np
import pytest

from pams_tf import InputError, models
from pams_tf.data import datasets
from pams_tf.evaluation.benchmark import evaluate
from pams_tf.evaluation.upscaler import bicubic, keras_upscale

SMALL = {"blocks": 2, "features": 8}
NETWORKS = [
    ("edsr_baseline", SMALL),
    ("edsr_small", SMALL),
    ("edsr_baseline", {**SMALL, "batch_norm": True}),
    ("rdn", {**SMALL, "layers": 2, "growth": 8}),
]


def started(preset, scale, overrides):
    keras.utils.set_random_seed(3)
    network = models.build(preset, scale, **overrides)
    models.start_as_interpolation(network)
    return network


def parabolas(height, width, scale):
    """Three channels of y, x -> a second-degree polynomial in LR pixels, at the scale's centres."""
    y = ((np.arange(height * scale) + 0.5) / scale - 0.5)[:, None]
    x = ((np.arange(width * scale) + 0.5) / scale - 0.5)[None, :]
    return np.stack(
        [90 + 2 * y - 0.3 * x**2, 120 + 0.1 * y**2 + x, 60 + 0.2 * y * x + 0.05 * x**2], axis=-1
    ).astype(np.float32)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("preset", "overrides"), NETWORKS)
def test_the_path_interpolates_parabolas_exactly(preset, overrides, scale):
    network = started(preset, scale, overrides)
    for layer in network.layers:  # the picture alone: nothing from other channels or residuals
        if layer.name in ("body", "global_fusion_1"):
            layer.kernel.assign(np.zeros(layer.kernel.shape))
        if (
            layer.name.startswith("upsample_") and hasattr(layer, "kernel")
        ) or layer.name == "tail":
            kernel = layer.kernel.numpy()
            kernel[:, :, 3:] = 0
            layer.kernel.assign(kernel)

    output = network(parabolas(12, 14, 1)[None]).numpy()[0]

    inside = slice(3 * scale, -3 * scale)  # zero padding reaches no further
    expected = parabolas(12, 14, scale)
    np.testing.assert_allclose(output[inside, inside], expected[inside, inside], rtol=0, atol=2e-3)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_start_is_near_bicubic_and_far_above_random_weights(scale):
    pairs = datasets.sample(scale, "valid")
    start = evaluate(keras_upscale(started("edsr_small", scale, {})), pairs).psnr
    keras.utils.set_random_seed(3)
    chance = evaluate(keras_upscale(models.build("edsr_small", scale)), pairs).psnr
    assert start > evaluate(bicubic(scale), pairs).psnr - 2.5
    assert start > chance + 10


def test_the_start_keeps_the_random_weights_of_the_other_channels():
    network = started("edsr_small", 3, SMALL)
    assert np.abs(network.get_layer("head").kernel.numpy()[..., 3:]).min() > 0
    assert np.abs(network.get_layer("tail").kernel.numpy()[:, :, 3:]).min() > 0


def test_fewer_than_three_features_cannot_carry_a_picture():
    with pytest.raises(InputError, match="2 features cannot carry red, green and blue"):
        started("edsr_small", 3, {"blocks": 1, "features": 2})
