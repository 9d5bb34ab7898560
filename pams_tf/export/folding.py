"""Batch normalization behind a convolution, as a factor and an offset of each channel."""

import keras
import numpy as np


def normalizations(network: keras.Model) -> dict[str, keras.layers.BatchNormalization]:
    """The batch normalizations of a network, by the name of the convolution in front."""
    return {
        layer.name.removesuffix("_bn"): layer
        for layer in network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }


def batch_normalization(layer: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """What it does at inference: y = factor * x + offset, both (C,) float64.

    factor = gamma / sqrt(variance + epsilon), offset = beta - factor * mean. On a convolution whose
    kernel has codes, the factor's magnitude scales a channel's step and its sign the codes, which
    a symmetric grid has with both signs: the codes stay those that were trained.
    """
    gamma, beta, mean, variance = (
        np.asarray(variable.value, np.float64)
        for variable in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    )
    factor = gamma / np.sqrt(variance + layer.epsilon)
    return factor, beta - factor * mean
