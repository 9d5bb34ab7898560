"""The vocabulary in which a user's Keras graph is read, before quantizers are placed."""

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any

import numpy as np


@dataclasses.dataclass(eq=False)
class Node:
    """An operator and its result, a tensor (N, H, W, C).

    Attributes:
      op: what it computes:
        "image": the network's input;
        "convolution": with `kernel_size`, `geometry`, and `relu`, `ceiling` if it is clipped;
        "transposed": a transposed convolution with `stride` and `before`, the pixels that are
          cut from its full result in front, so that s times the size is left;
        "affine": scale * x + offset, numbers or one per channel;
        "clip": to [low, high];
        "function": `kind` ("tanh", "sigmoid", "leaky_relu", "prelu"), with a `slope`;
        "add" (with `relu`, `ceiling`), "multiply", "concatenate";
        "move": `movement` with its settings, see `movements`; values stay as they are.
      name: unique; that of the user's layer where it stands for one.
      inputs: the nodes that it reads.
      settings: as above, JSON types.
      weights: trainable arrays by name.
      shared: name of the earlier convolution whose weights it uses.
    """

    op: str
    name: str
    inputs: list["Node"] = dataclasses.field(default_factory=list)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    weights: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    shared: str | None = None

    @functools.cached_property
    def channels(self) -> int:
        """Number of channels of its result."""
        settings = self.settings
        if self.op == "image":
            return int(settings["channels"])
        if self.op == "convolution":
            return int(self.weights["kernel"].shape[-1])
        if self.op == "transposed":
            return int(self.weights["kernel"].shape[-2])
        if self.op == "concatenate":
            return sum(node.channels for node in self.inputs)
        channels = max(node.channels for node in self.inputs)
        if self.op == "move":
            how = settings["settings"]
            if settings["movement"] == "depth_to_space":
                return channels // how["scale"] ** 2
            if settings["movement"] == "space_to_depth":
                return channels * how["scale"] ** 2
            if settings["movement"] == "repeat":
                return channels * how["times"]
            if settings["movement"] == "select":
                return len(how["channels"])
        return channels

    @property
    def linear(self) -> bool:
        """Whether it is a convolution without anything behind it."""
        return self.op == "convolution" and not self.settings.get("relu")


def in_order(output: Node) -> list[Node]:
    """All nodes that the output depends on, each behind those that it reads."""
    ordered: list[Node] = []
    seen: set[int] = set()
    waiting = [(output, False)]
    while waiting:
        node, ready = waiting.pop()
        if ready:
            ordered.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((node, True))
            waiting += [(source, False) for source in reversed(node.inputs)]
    return ordered


def readers(nodes: Iterable[Node]) -> dict[int, list[Node]]:
    """The nodes that read each node, by its id; one that reads it twice is there twice."""
    found: dict[int, list[Node]] = {}
    for node in nodes:
        found.setdefault(id(node), [])
        for source in node.inputs:
            found.setdefault(id(source), []).append(node)
    return found
