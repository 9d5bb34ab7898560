"""Shared by the tests of verification."""

import numpy as np

from pams_tf.quantization import QuantConv2D


def biased(network):
    """Biases that a trained network has, so that their rounding shows."""
    rng = np.random.default_rng(4)
    for layer in network.layers:
        if isinstance(layer, QuantConv2D):
            layer.bias.assign(rng.normal(0, 3, layer.bias.shape))
    return network
