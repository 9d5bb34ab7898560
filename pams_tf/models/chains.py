"""What carries the channels of a convolution to those that read them, and factors for channels."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from pams_tf.models.graph.steps import Graph, Step
from pams_tf.models.network import SuperResolution

_PER_CHANNEL = ("pad", "crop", "rectify")  # movements that leave every channel where it is


@dataclasses.dataclass(frozen=True)
class Chain:
    """What carries the channels of one convolution to the convolutions that read them.

    Attributes:
      convolution: name of the convolution that computes the channels.
      held: names of the sites that hold them, before and behind the function if there is one.
      turnable: name of the PReLU between them, if nothing else reads what is in front of it.
      readers: names of the convolutions that read them; nothing else does.
    """

    convolution: str
    held: tuple[str, ...]
    readers: tuple[str, ...]
    turnable: str | None = None


def chains(graph: Graph) -> list[Chain]:
    """The chains of a network, in its order.

    A chain leads through what is positively homogeneous in each channel: a ReLU in the convolution,
    leaky_relu, prelu, sites, means, and movements within a channel. Whatever else reads a channel,
    such as an addition, tanh, a site with a ceiling or the image, leaves its convolution without a
    chain.
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
    between: list[Step] = []
    readers, waiting = [], [first.name]
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
            between.append(step)
            waiting.append(step.name)
    held = tuple(step.name for step in between if step.call == "activation")
    if not held or not readers:
        return None
    return Chain(first.name, held, tuple(readers), _turnable(first, between, reading))


def _turnable(first: Step, between: list[Step], reading: Mapping[str, list[Step]]) -> str | None:
    """The PReLU that alone bends values, if what the convolution computes has no other reader."""
    bending = [step for step in between if step.call == "function" or _rectifies(step)]
    if first.settings.get("relu") or len(bending) != 1:
        return None
    (prelu,) = bending
    step = first
    while step is not prelu:
        if len(reading[step.name]) != 1:
            return None
        (step,) = reading[step.name]
    return prelu.name if prelu.settings.get("kind") == "prelu" else None


def _rectifies(step: Step) -> bool:
    return step.settings.get("movement") == "rectify"


def _is_homogeneous(step: Step) -> bool:
    """Whether f(a * x) = a * f(x) for each channel by itself and every a above 0."""
    if step.call == "activation":
        return step.settings.get("ceiling") is None
    if step.call == "function":
        return step.settings["kind"] in ("leaky_relu", "prelu")
    if step.call == "moved":
        return step.settings["movement"] in _PER_CHANNEL
    return step.call in ("bilinear", "mean", "rescaled")


def multiply_results(network: SuperResolution, convolution: str, factors: np.ndarray) -> None:
    """Multiply the channels that a convolution computes, behind its batch normalization, in place.

    Args:
      factors: one for each channel, (O,).
    """
    layer = network.get_layer(convolution)
    norms = [x for x in network.layers if x.name == f"{convolution}_bn"]
    for variable in (norms[0].gamma, norms[0].beta) if norms else (layer.kernel, layer.bias):
        variable.assign(variable.numpy() * factors)


def multiply_inputs(network: SuperResolution, convolution: str, factors: np.ndarray) -> None:
    """Multiply the kernel of a convolution as if the channels that it reads were, in place.

    Args:
      factors: one for each channel that it reads, of all groups, (C,).
    """
    layer = network.get_layer(convolution)
    kernel = layer.kernel.numpy()
    h, w, depth, filters = kernel.shape
    groups = len(factors) // depth
    split = kernel.reshape(h, w, depth, groups, filters // groups)
    split = split * factors.reshape(groups, depth).T[:, :, None]
    layer.kernel.assign(split.reshape(kernel.shape))
