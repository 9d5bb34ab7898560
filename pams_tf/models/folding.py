"""Batch normalization behind a convolution, as a factor and an offset per channel."""

from typing import Any

import keras
import tensorflow as tf


def normalizations(network: keras.Model) -> dict[str, keras.layers.BatchNormalization]:
    """The batch normalization layers of a network, by the name of the convolution in front."""
    return {
        layer.name.removesuffix("_bn"): layer
        for layer in network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }


def batch_normalization(layer: keras.layers.BatchNormalization) -> tuple[Any, Any]:
    """Factor and offset of y = factor * x + offset, its inference function; both (C,) float64.

    factor = gamma / sqrt(variance + epsilon), offset = beta - factor * mean. Folded into a
    quantized convolution, the factor's magnitude scales the channel's weight scale and its sign
    flips the codes, which a symmetric grid allows: apart from that sign the codes stay as trained.
    """
    gamma, beta, mean, variance = (
        tf.cast(variable.value, tf.float64)
        for variable in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    )
    factor = gamma / tf.sqrt(variance + layer.epsilon)
    return factor, beta - factor * mean
