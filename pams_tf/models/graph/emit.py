"""From simplified nodes to the calls of `Sites`: where tensors are held, and in which unit."""

import math
from typing import Any

import numpy as np

from pams_tf.errors import InputError
from pams_tf.models.graph.nodes import Node, in_order, readers
from pams_tf.models.graph.steps import IMAGE, Graph, Step
from pams_tf.models.sites import PLAIN

Weights = dict[str, dict[str, np.ndarray]]
"""Name of a layer -> its trainable arrays by name."""

KNOWN_RANGES = {"tanh": (-1.0, 127 / 128), "sigmoid": (0.0, 255 / 256)}
"""The ranges that TensorFlow Lite prescribes for int8: scale 1/128, and 1/256 from -128 up."""
SATURATED = {"tanh": math.atanh(127.75 / 128), "sigmoid": math.log(255.75 / 0.25)}
"""Beyond these arguments the result is the last code of that range, without a doubt."""


def emit(output: Node, scale: int) -> tuple[Graph, Weights]:
    """The steps of a network and its weights.

    A tensor is held, that is quantized, behind every operator that computes. Movements pass held
    tensors on. What computes the enlarged image puts it on the grid of bytes right away, before
    any movement, as `Sites.image` does.

    Args:
      output: of `simplify`.
      scale: the upscaling factor.

    Raises:
      InputError: a clip that no grid expresses.
    """
    return _Emitter(output, scale).graph()


class _Emitter:
    def __init__(self, output: Node, scale: int) -> None:
        self._nodes = in_order(output)
        self._reading = readers(self._nodes)
        self._scale = scale
        self._steps: list[Step] = []
        self._names = {IMAGE}
        self._raw: dict[int, str] = {}
        self._held: dict[int, str] = {}
        self._weights: Weights = {}
        self._end, self._gain, self._trailing = self._image_of(output)
        self._head, self._tail = self._ends()

    def graph(self) -> tuple[Graph, Weights]:
        trailing = {id(node) for node in self._trailing}
        for node in self._nodes:
            if id(node) not in trailing:
                self._emit(node)
        # The result of an operator goes to the image itself; what has a grid of its own is read.
        source = self._raw.get(id(self._end)) or self._held_of(self._end)
        name = self._step("image", "sr", (source,), gain=self._gain)
        for node in self._trailing:
            if node.op == "move":
                name = self._move(node, name)
        feature = self._feature()
        image = self._nodes[[node.op for node in self._nodes].index("image")]
        return (
            Graph(
                steps=tuple(self._steps),
                output=name,
                feature=None if feature is None else self._held_of(feature),
                scale=self._scale,
                channels=image.channels,
                unit=self._unit(),
            ),
            self._weights,
        )

    # Names and units.

    def _step(self, call: str, wanted: str, inputs: tuple[str, ...], **settings: Any) -> str:
        name, count = wanted, 1
        while name in self._names:
            name, count = f"{wanted}_{count}", count + 1
        # A convolution with a ReLU is two layers in the float network.
        self._names |= {name, f"{name}_relu"} if call == "convolution" else {name}
        self._steps.append(Step(call, name, inputs, settings))
        return name

    def _unit(self) -> float:
        """Grey levels for 1, if the network divides the image by them and is homogeneous."""
        if any(
            node.op == "function" and node.settings["kind"] in KNOWN_RANGES for node in self._nodes
        ):
            return 1.0
        factors = {
            float(node.settings["scale"])
            for node in self._nodes
            if node.op == "affine" and node.inputs[0].op == "image"
        }
        return 1 / factors.pop() if len(factors) == 1 else 1.0

    # The two ends.

    def _image_of(self, output: Node) -> tuple[Node, float, list[Node]]:
        """What computes the image, its gain, and the nodes behind it in order."""
        gain, behind, node = 1.0, [], output
        while True:
            read = len(self._reading[id(node)])
            if read > (node is not output) or not node.inputs:
                break
            if node.op == "affine" and np.size(node.settings["scale"]) == 1:
                if np.any(node.settings["offset"]) or node.settings["scale"] <= 0:
                    break
                gain *= float(node.settings["scale"])
            elif node.op == "clip":
                low, high = node.settings["low"], node.settings["high"]
                if (low or 0) * gain > 0.5 or (high or math.inf) * gain < 254.5:
                    break
            elif node.op != "move" or node.settings["movement"] == "rectify":
                break
            behind.append(node)
            node = node.inputs[0]
        return node, gain, behind[::-1]

    def _ends(self) -> tuple[set[int], set[int]]:
        """The convolutions that read the image, and those that make the enlarged one."""
        head = {
            id(node)
            for node in self._nodes
            if node.op == "convolution" and self._passes(node.inputs[0]).op == "image"
        }
        tail, waiting = set(), [self._end]
        while waiting:
            node = self._passes(waiting.pop())
            if node.op == "convolution":
                tail.add(id(node))
            elif node.op in ("add", "concatenate", "multiply", "function", "clip"):
                waiting += node.inputs
        return head, tail

    def _passes(self, node: Node) -> Node:
        """The operator whose values a node has, behind movements and changes of the unit."""
        while node.op in ("move", "affine"):
            node = node.inputs[0]
        return node

    def _feature(self) -> Node | None:
        """What the last convolution before the enlargement reads."""
        found = None
        for node in self._nodes:
            if node.op == "convolution" and self._enlarges(node) and id(node) not in self._head:
                found = node.inputs[0]
        return found

    def _enlarges(self, node: Node) -> bool:
        waiting = list(self._reading[id(node)])
        while waiting:
            following = waiting.pop()
            if following.op == "move" and following.settings["movement"] == "depth_to_space":
                return True
            if following.op != "convolution":
                waiting += self._reading[id(following)]
        return False

    # One node.

    def _emit(self, node: Node) -> None:
        kind = node.op
        if kind == "image":
            self._held[id(node)] = IMAGE
        elif kind == "affine":
            self._affine(node)
        elif kind == "move":
            self._held[id(node)] = self._move(node, self._held_of(node.inputs[0]))
        elif kind == "clip":
            self._clip(node)
        else:
            getattr(self, f"_{kind}")(node)

    def _affine(self, node: Node) -> None:
        source = self._held_of(node.inputs[0])
        scale, offset = float(node.settings["scale"]), node.settings["offset"]
        if np.any(offset):
            shift = np.broadcast_to(offset / scale, (node.channels,)).tolist()
            source = self._step("shifted_image", f"{node.name}_shifted", (source,), shift=shift)
        if scale != 1:
            source = self._step("rescaled", node.name, (source,), factor=scale)
        self._held[id(node)] = source

    def _move(self, node: Node, source: str) -> str:
        kind, settings = node.settings["movement"], node.settings["settings"]
        if kind == "depth_to_space":
            return self._step(kind, node.name, (source,), **settings)
        return self._step("moved", node.name, (source,), movement=kind, settings=settings)

    def _convolution(self, node: Node) -> None:
        geometry = {
            key: value
            for key, value in node.settings["geometry"].items()
            if value != getattr(PLAIN, key)
        }
        settings: dict[str, Any] = {
            "filters": node.channels,
            "kernel_size": list(node.settings["kernel_size"]),
            "body": id(node) not in self._head | self._tail,
        }
        if geometry:
            settings["geometry"] = geometry
        if node.settings.get("relu"):
            settings["relu"] = True
        if node.shared is not None:
            settings["shared"] = node.shared
        if id(node) in self._tail:
            settings["dtype"] = "float32"
        source = self._held_of(node.inputs[0])
        self._raw[id(node)] = self._step("convolution", node.name, (source,), **settings)
        if node.shared is None:
            self._weights[node.name] = node.weights

    def _add(self, node: Node) -> None:
        inputs = tuple(self._held_of(x) for x in node.inputs)
        settings = {"relu": True} if node.settings.get("relu") else {}
        self._raw[id(node)] = self._step("add", node.name, inputs, **settings)

    def _multiply(self, node: Node) -> None:
        inputs = tuple(self._held_of(x) for x in node.inputs)
        self._raw[id(node)] = self._step("multiply", node.name, inputs)

    def _concatenate(self, node: Node) -> None:
        inputs = tuple(self._part(node, x) for x in node.inputs)
        self._raw[id(node)] = self._step("concatenate", node.name, inputs)

    def _part(self, node: Node, x: Node) -> str:
        """The name of what a concatenation reads."""
        if id(x) in self._raw and len(self._reading[id(x)]) == 1 and not x.settings.get("ceiling"):
            return self._raw[id(x)]  # it goes right into the grid of the concatenation
        source = x.inputs[0] if x.op == "affine" else x
        if source.op != "image":
            return self._held_of(x)
        # The converter would give the image itself the grid of the concatenation, for all readers.
        copy = self._step(
            "convolution",
            f"{node.name}_image",
            (self._held_of(x),),
            filters=x.channels,
            kernel_size=[1, 1],
            body=False,
        )
        kernel = np.eye(x.channels, dtype=np.float32)[None, None]
        self._weights[copy] = {"kernel": kernel, "bias": np.zeros(x.channels, np.float32)}
        return copy

    def _function(self, node: Node) -> None:
        kind = node.settings["kind"]
        settings = {"kind": kind}
        if kind == "leaky_relu":
            settings["slope"] = float(node.settings["slope"])
        before: dict[str, Any] = {}
        if kind in KNOWN_RANGES:
            # A range that other operators read, too, must hold what they need.
            alone = len(self._reading[id(node.inputs[0])]) == 1
            before = {"true_values": True, "ceiling": SATURATED[kind] if alone else None}
        source = self._held_of(node.inputs[0], **before)
        self._raw[id(node)] = self._step("function", node.name, (source,), **settings)
        if node.weights:
            self._weights[node.name] = node.weights
        if kind in KNOWN_RANGES:
            low, high = KNOWN_RANGES[kind]
            self._held[id(node)] = self._step(
                "known_range",
                f"{node.name}_output",
                (self._raw.pop(id(node)),),
                minimum=low,
                maximum=high,
                body=self._in_body(node),
            )

    def _clip(self, node: Node) -> None:
        (source,) = node.inputs
        low, high = node.settings["low"], node.settings["high"]
        if (low, high) == (0, None):
            self._held[id(node)] = self._step(
                "moved", node.name, (self._held_of(source),), movement="rectify", settings={}
            )
            return
        if high is None or high <= 0 or low not in (0, -high):
            raise InputError(
                f"{node.name}: a clip to [{low}, {high}] has no integer form; clip to [0, m] or "
                "[-m, m]"
            )
        raw = self._raw.get(id(source))
        if raw is None or len(self._reading[id(source)]) > 1:
            raw = self._held_of(source)
            if low == 0:
                raw = self._step(
                    "moved", f"{node.name}_rectify", (raw,), movement="rectify", settings={}
                )
        raw = self._step("clipped", node.name, (raw,), low=float(low), high=float(high))
        self._held[id(node)] = self._site(node, raw, ceiling=float(high))

    def _held_of(self, node: Node, **settings: Any) -> str:
        """The name of the held tensor of a node; its site is made when somebody asks for it."""
        if id(node) not in self._held:
            raw, ceiling = self._raw[id(node)], node.settings.get("ceiling")
            if ceiling is not None:
                raw = self._step("clipped", f"{node.name}_clip", (raw,), low=0.0, high=ceiling)
                settings["ceiling"] = ceiling
            self._held[id(node)] = self._site(node, raw, **settings)
        return self._held[id(node)]

    def _site(self, node: Node, raw: str, **settings: Any) -> str:
        settings = {key: value for key, value in settings.items() if value is not None}
        return self._step(
            "activation",
            f"{node.name}_output",
            (raw,),
            body=self._in_body(node),
            after_relu=self._nonnegative(node),
            **settings,
        )

    def _in_body(self, node: Node) -> bool:
        """Whether a convolution of the body reads a tensor, and none of the tail.

        What a function reads is not in the body: few bits there would save nothing.
        """
        waiting, reads = list(self._reading[id(node)]), []
        while waiting:
            following = waiting.pop()
            if following.op == "convolution":
                reads.append(following)
            elif following.op != "function":
                waiting += self._reading[id(following)]
        return bool(reads) and not any(id(following) in self._tail for following in reads)

    def _nonnegative(self, node: Node) -> bool:
        if node.op == "image" or node.settings.get("relu"):
            return True
        if node.op == "function":
            return bool(node.settings["kind"] == "sigmoid")
        if node.op == "clip":
            return node.settings["low"] is not None and node.settings["low"] >= 0
        if node.op == "affine" and np.any(node.settings["offset"]):
            return False
        if node.op == "convolution" or not node.inputs:
            return False
        if node.op == "move" and node.settings["movement"] == "rectify":
            return True
        return all(self._nonnegative(x) for x in node.inputs)
