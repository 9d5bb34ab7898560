"""From a functional Keras model to a graph and its weights."""

import keras
import numpy as np

from pams_tf.data.datasets import SCALES
from pams_tf.errors import InputError
from pams_tf.models.graph.emit import Weights, emit
from pams_tf.models.graph.flatten import check_whole, flatten
from pams_tf.models.graph.nodes import Node, in_order, readers
from pams_tf.models.graph.simplify import simplify
from pams_tf.models.graph.steps import Graph

CHANNELS = (1, 3)


def read(model: keras.Model, image_range: float = 255.0) -> tuple[Graph, Weights]:
    """Read a Keras model whose layers are those of docs/own_network.md.

    Args:
      model: functional, with one image in and one out; it is not changed.
      image_range: the value of white in its input and output.

    Returns:
      The graph, and the trainable arrays of its layers by name.

    Raises:
      InputError: it is not such a model; one message names every layer that has no integer form.
    """
    check_whole(model)
    channels = model.input_shape[-1]
    if channels not in CHANNELS or model.output_shape[-1] != channels:
        raise InputError(
            f"{model.name} takes {channels} channels and gives {model.output_shape[-1]}; a network "
            "takes and gives 3, RGB, or 1, Y"
        )
    scale = _scale(model)
    output = flatten(model)
    if image_range != 255:
        output = _scaled(output, image_range)
    return emit(simplify(output), scale)


_PROBES = ((48, 96), (96, 144))  # LR sizes that networks with strides divide, too


def _scale(model: keras.Model) -> int:
    factors = set()
    for height, width in _PROBES:
        have = (model.input_shape[1] or height, model.input_shape[2] or width)
        gives = _output_size(model, have)
        factors |= {out / into for out, into in zip(gives, have, strict=True)}
    if len(factors) == 1 and (factor := factors.pop()) in SCALES:
        return int(factor)
    raise InputError(
        f"{model.name} makes {gives[0]}x{gives[1]} pixels of {have[0]}x{have[1]}; a network "
        f"enlarges every image by {', '.join(map(str, SCALES[:-1]))} or {SCALES[-1]}, to the pixel"
    )


def _output_size(model: keras.Model, size: tuple[int, int]) -> tuple[int, int]:
    shape = (1, *size, model.input_shape[-1])
    _, height, width, _ = model.compute_output_shape(shape)
    if height is None or width is None:  # a layer does not say: look
        _, height, width, _ = model(np.zeros(shape, np.float32)).shape
    return height, width


def _scaled(output: Node, image_range: float) -> Node:
    """The network for images in [0, 255]."""
    nodes = in_order(output)
    image = next(node for node in nodes if node.op == "image")
    into = Node(
        "affine",
        "image_range",
        [image],
        {"scale": np.float64(image_range / 255), "offset": np.float64(0)},
    )
    for reader in readers(nodes)[id(image)]:
        reader.inputs = [into if x is image else x for x in reader.inputs]
    return Node(
        "affine",
        "grey_levels",
        [output],
        {"scale": np.float64(255 / image_range), "offset": np.float64(0)},
    )
