"""Equalization: every channel between two convolutions gets the range of the widest one."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.data.calibration import Images, lr_batches
from pams_tf.errors import InputError
from pams_tf.models.chains import chains, multiply_inputs, multiply_results
from pams_tf.models.graph.recorder import recorded
from pams_tf.models.network import SuperResolution
from pams_tf.models.slopes import turn_steep_slopes
from pams_tf.models.transfer import with_recipe

LARGEST = 64.0
"""No channel is multiplied by more, because what it holds would be noise."""


def equalized(network: SuperResolution, images: Images = None) -> SuperResolution:
    """The same function, with channels that all use the range of the tensor that holds them.

    A tensor has one range for all its channels, so a channel with small values would have few codes
    in it. Between two convolutions every channel may be multiplied by a positive factor if the next
    kernels are divided by it. Before that, steep slopes of a PReLU are turned over, see
    `models.slopes`.

    Example:
      >>> import numpy as np
      >>> from pams_tf import models
      >>> network = models.build("plain_small", 2, convolutions=2, features=4)
      >>> images = np.random.default_rng(1).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
      >>> same = models.equalized(network, images)
      >>> np.allclose(network(images), same(images), atol=1e-2)
      True

    Args:
      network: a float network; not changed.
      images: as in `quantize`; they show the range of each channel.

    Returns:
      A copy with other weights. Additions, concatenations, tanh, sigmoid and the image end a chain
      of such factors; no factor is above 64.

    Raises:
      InputError: there are no images.

    Source: Nagel et al., "Data-Free Quantization through Weight Equalization and Bias Correction",
    ICCV 2019, Section 4.1; here by the ranges of activations in the place of weights.
    """
    chosen = chains(recorded(network))
    copy = with_recipe(network, None)
    for chain in chosen:
        turn_steep_slopes(copy, chain)
    if not chosen:
        return copy
    names = [name for chain in chosen for name in chain.held]
    ranges = channel_ranges(copy, names, lr_batches(images, copy.scale, copy.channels))
    for chain in chosen:
        scales = factors(np.stack([ranges[name] for name in chain.held]))
        multiply_results(copy, chain.convolution, scales)
        for reader in chain.readers:
            multiply_inputs(copy, reader, 1 / scales)
    return copy


def factors(ranges: np.ndarray) -> np.ndarray:
    """The factor of each channel, from its ranges at the tensors that hold it: (T, C) -> (C,).

    It fills the range of the widest channel in one tensor and stays below it in the others. A
    channel that is always 0 keeps its weights.
    """
    alive = ranges > ranges.max(axis=1, keepdims=True) * 1e-6
    room = ranges.max(axis=1, keepdims=True) / np.where(alive, ranges, np.inf)
    room = np.where(alive, room, np.inf).min(axis=0)
    return np.where(np.isfinite(room), np.clip(room, 1.0, LARGEST), 1.0)


def channel_ranges(
    network: SuperResolution, names: list[str], batches: Iterable[Any]
) -> dict[str, np.ndarray]:
    """max|x| of each channel over all images, (C,), where a tensor arrives at its site."""
    probe = keras.Model(network.inputs[0], [network.arriving[name] for name in names])
    largest: list[Any] = [0.0] * len(names)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, network.channels))])
    def measure(lr: Any) -> list[Any]:
        tensors = probe(lr, training=False)
        tensors = tensors if isinstance(tensors, list | tuple) else [tensors]
        return [tf.reduce_max(tf.abs(tf.cast(x, tf.float32)), (0, 1, 2)) for x in tensors]

    for lr in batches:
        largest = [np.maximum(a, b) for a, b in zip(largest, measure(lr), strict=True)]
    if not np.ndim(largest[0]):
        raise InputError("equalization needs at least one batch of images")
    return dict(zip(names, largest, strict=True))
