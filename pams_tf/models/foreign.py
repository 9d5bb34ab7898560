"""Networks of the user's own: any functional Keras model as a network of this package."""

import re

import keras
import numpy as np

from pams_tf.errors import InputError
from pams_tf.models.graph.reader import read
from pams_tf.models.network import SuperResolution


def from_keras(
    model: keras.Model,
    *,
    image_range: float = 255.0,
    skt_layer: str | None = None,
    name: str | None = None,
) -> SuperResolution:
    """Take over a Keras network, with its weights.

    Example:
      >>> import keras, pams_tf
      >>> x = image = keras.Input((None, None, 3))
      >>> x = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="first")(x)
      >>> x = keras.layers.Conv2D(12, 3, padding="same", name="last")(x)
      >>> x = keras.ops.nn.depth_to_space(x, 2)
      >>> network = pams_tf.from_keras(keras.Model(image, x, name="mine"))
      >>> network.scale, sorted(network.arriving)
      (2, ['first_output'])

    Args:
      model: a functional Keras model, or a Sequential one, (N, H, W, C) -> (N, s*H, s*W, C), with C
        3 for RGB or 1 for Y, and s 2, 3 or 4. It is not changed.
      image_range: the value of white in its input and output, 255 or 1. A `Rescaling` at either end
        belongs to the network.
      skt_layer: the layer whose result SKT compares; None for the input of the last convolution
        before the enlargement.
      name: of the network; None for the model's own.

    Returns:
      The float network, for images in [0, 255].

    Raises:
      InputError: the model is not functional, has several inputs or outputs, another number of
        channels or no whole scale, weights that are not finite, or layers without an integer form;
        one message names all of these, each with its path and with what would do in its place.

    Source: docs/own_network.md.
    """
    if image_range <= 0:
        raise InputError(f"image_range={image_range!r} is not possible; give 255 or 1")
    graph, weights = read(model, image_range)
    if skt_layer is not None:
        graph = graph.with_feature(skt_layer)
    preset = re.sub(r"[^\w.-]", "_", name or model.name).removesuffix(f"_x{graph.scale}")
    network = SuperResolution(preset or "network", graph.scale, graph=graph)
    for layer in network.layers:
        if layer.name in weights and layer.weights:
            for variable in layer.weights:
                name = "slopes" if variable.name == "alpha" else variable.name
                variable.assign(np.reshape(weights[layer.name][name], variable.shape))
    return network
