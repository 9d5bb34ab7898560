"""Equalization: every channel between two convolutions gets the range of the widest one."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.data.calibration import Images, lr_batches
from pams_tf.errors import InputError
from pams_tf.models.graph.recorder import recorded
from pams_tf.models.graph.steps import Graph, Step
from pams_tf.models.network import SuperResolution
from pams_tf.models.transfer import with_recipe

LARGEST = 64.0
"""No channel is multiplied by more, because what it holds would be noise."""

_PER_CHANNEL = ("pad", "crop", "rectify")  # movements that leave every channel where it is


@dataclasses.dataclass(frozen=True)
class Chain:
    """What carries the channels of one convolution to the convolutions that read them.

    Attributes:
      convolution: name of the convolution that computes the channels.
      held: names of the sites that hold them, before and behind the function if there is one.
      readers: names of the convolutions that read them; nothing else does.
    """

    convolution: str
    held: tuple[str, ...]
    readers: tuple[str, ...]


def chains(graph: Graph) -> list[Chain]:
    """The chains of a network, in its order.

    A chain leads through what is positively homogeneous in each channel: a ReLU in the convolution,
    leaky_relu, prelu, sites, and movements within a channel. Whatever else reads a channel, such as
    an addition, tanh, a site with a ceiling or the image, leaves its convolution without a chain.
    """
    reading: dict[str, list[Step]] = {}
    for step in graph.steps:
        for name in step.inputs:
            reading.setdefault(name, []).append(step)
    shared = {step.settings["shared"] for step in graph.steps if step.settings.get("shared")}
    found = (
        _chain(step, reading, graph.output, shared)
        for step in graph.steps
        if _is_own(step, shared) and not step.settings.get("shift")
    )
    return [chain for chain in found if chain is not None]


def _is_own(step: Step, shared: set[str]) -> bool:
    """Whether it is a convolution whose weights no other one uses."""
    return (
        step.call == "convolution" and not step.settings.get("shared") and step.name not in shared
    )


def _chain(
    first: Step, reading: Mapping[str, list[Step]], output: str, shared: set[str]
) -> Chain | None:
    held, readers, waiting = [], [], [first.name]
    while waiting:
        name = waiting.pop()
        if name == output:
            return None
        for step in reading.get(name, ()):
            if _is_own(step, shared):
                readers.append(step.name)
                continue
            if not _is_homogeneous(step):
                return None
            if step.call == "activation":
                held.append(step.name)
            waiting.append(step.name)
    return Chain(first.name, tuple(held), tuple(readers)) if held and readers else None


def _is_homogeneous(step: Step) -> bool:
    """Whether f(a * x) = a * f(x) for each channel by itself and every a above 0."""
    if step.call == "activation":
        return step.settings.get("ceiling") is None
    if step.call == "function":
        return step.settings["kind"] in ("leaky_relu", "prelu")
    if step.call == "moved":
        return step.settings["movement"] in _PER_CHANNEL
    return step.call == "rescaled"


def equalized(network: SuperResolution, images: Images = None) -> SuperResolution:
    """The same function, with channels that all use the range of the tensor that holds them.

    A tensor has one range for all its channels, so a channel with small values would have few codes
    in it. Between two convolutions every channel may be multiplied by a positive factor if the next
    kernels are divided by it.

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
    if not chosen:
        return copy
    names = [name for chain in chosen for name in chain.held]
    ranges = channel_ranges(network, names, lr_batches(images, network.scale, network.channels))
    for chain in chosen:
        _scale(copy, chain, factors(np.stack([ranges[name] for name in chain.held])))
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


def _scale(network: SuperResolution, chain: Chain, factors: np.ndarray) -> None:
    """Multiply the channels of a chain and divide the kernels that read them."""
    first = network.get_layer(chain.convolution)
    norms = [x for x in network.layers if x.name == f"{chain.convolution}_bn"]
    for variable in (norms[0].gamma, norms[0].beta) if norms else (first.kernel, first.bias):
        variable.assign(variable.numpy() * factors)
    for name in chain.readers:
        layer = network.get_layer(name)
        kernel = layer.kernel.numpy()
        h, w, depth, filters = kernel.shape
        groups = len(factors) // depth
        split = kernel.reshape(h, w, depth, groups, filters // groups)
        split = split / factors.reshape(groups, depth).T[:, :, None]
        layer.kernel.assign(split.reshape(kernel.shape))
