"""Rewrites nodes until each one is an operator of an integer file.

Everything here keeps the function: constants are folded into convolutions, a transposed convolution
becomes a convolution and depth-to-space, and what nothing can be folded into becomes a convolution
of its own.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pams_tf.errors import InputError
from pams_tf.models.graph.nodes import Node, in_order, readers


def simplify(output: Node) -> Node:
    """The same network without "transposed", and without "affine" but on the image or in a unit.

    Raises:
      InputError: a transposed convolution whose result is not cut to s times the size.
    """
    for rewrite in (_transposed, _behind_movements, _folded, _clipped):
        output = _everywhere(output, rewrite)
    return _everywhere(output, _alone)


Rewrite = Callable[[Node, dict[int, list[Node]]], Node | None]
"""A node and all readers -> what takes its place, or None to keep it."""


def _everywhere(output: Node, rewrite: Rewrite) -> Node:
    """Apply a rewrite until nothing changes."""
    while True:
        nodes = in_order(output)
        reading = readers(nodes)
        for node in nodes:
            better = rewrite(node, reading)
            if better is not None:
                for reader in reading[id(node)]:
                    reader.inputs = [better if x is node else x for x in reader.inputs]
                output = better if node is output else output
                break
        else:
            return output


def _alone_read(node: Node, reading: dict[int, list[Node]]) -> bool:
    return len(reading[id(node)]) == 1


def _transposed(node: Node, reading: dict[int, list[Node]]) -> Node | None:
    if _is_crop(node) and node.inputs[0].op == "transposed":
        convolution = node.inputs[0]
        if convolution.settings["before"] is None and _alone_read(convolution, reading):
            return _as_subpixels(convolution, node.settings["settings"]["borders"])
    if node.op != "transposed":
        return None
    following = reading[id(node)]
    if node.settings["before"] is None and len(following) == 1 and _is_crop(following[0]):
        return None  # the crop's turn comes
    return _as_subpixels(node, [[0, 0], [0, 0]])


def _is_crop(node: Node) -> bool:
    return node.op == "move" and bool(node.settings["movement"] == "crop")


def _as_subpixels(node: Node, borders: list[list[int]]) -> Node:
    """A transposed convolution and its crop as a convolution and depth-to-space."""
    stride, before = node.settings["stride"], node.settings["before"]
    if before is None:
        for size, axis in zip(node.weights["kernel"].shape, borders, strict=False):
            if sum(axis) != size - stride:
                raise InputError(
                    f"{node.name}: without padding, a transposed convolution gives "
                    f"{size - stride} pixels more than {stride} times the size; put Cropping2D "
                    "behind it that cuts so many in all, or use padding='same'"
                )
        before = [axis[0] for axis in borders]
    kernel, size = subpixel_kernel(node.weights["kernel"], stride, before)
    convolution = Node(
        "convolution",
        node.name,
        node.inputs,
        {"kernel_size": size, "geometry": {}},
        {"kernel": kernel, "bias": np.tile(node.weights["bias"], stride**2)},
        node.shared,
    )
    if stride == 1:
        return convolution
    settings = {"movement": "depth_to_space", "settings": {"scale": stride}}
    return Node("move", f"{node.name}_shuffle", [convolution], settings)


def subpixel_kernel(
    kernel: np.ndarray, stride: int, before: list[int]
) -> tuple[np.ndarray, list[int]]:
    """The kernel (h, w, I, s*s*O) of the convolution that, in front of depth-to-space, equals a
    transposed one.

    The transposed convolution puts x[i] * kernel[k] at s*i + k, from which `before` pixels are cut.
    So pixel s*q + r of its result is the sum over d of x[q - d] * kernel[s*d + r + before].

    Args:
      kernel: (h, w, O, I), as Keras has it.
      stride: s.
      before: pixels cut in front on each axis.
    """
    reaches = []
    for size, cut in zip(kernel.shape[:2], before, strict=True):
        lowest = math.ceil((1 - stride - cut) / stride)
        highest = math.floor((size - 1 - cut) / stride)
        reaches.append(max(-lowest, highest, 0))
    (up, across), (outputs, inputs) = reaches, kernel.shape[2:]
    size = [2 * up + 1, 2 * across + 1]
    result = np.zeros((*size, inputs, stride, stride, outputs), kernel.dtype)
    for dy in range(-up, up + 1):
        for dx in range(-across, across + 1):
            for r in range(stride):
                for c in range(stride):
                    k = stride * dy + r + before[0], stride * dx + c + before[1]
                    if 0 <= k[0] < kernel.shape[0] and 0 <= k[1] < kernel.shape[1]:
                        result[up - dy, across - dx, :, r, c] = kernel[k].T
    return result.reshape(*size, inputs, stride**2 * outputs), size


def _behind_movements(node: Node, reading: dict[int, list[Node]]) -> Node | None:
    """affine(move(x)) -> move(affine(x)), where it can then be folded; a ReLU likewise."""
    if node.op not in ("affine", "clip") or node.inputs[0].op != "move":
        return None
    move = node.inputs[0]
    kind = move.settings["movement"]
    if node.op == "clip":
        if not _alone_read(move, reading) or _is_end(node, reading) or node.settings["low"] != 0:
            return None
        inner = Node("clip", node.name, move.inputs, node.settings)
        return Node("move", move.name, [inner], move.settings)
    per_channel = any(np.size(node.settings[key]) > 1 for key in ("scale", "offset"))
    if kind == "rectify" or not _alone_read(move, reading) or _is_image(move):
        return None
    if kind == "pad" and np.any(node.settings["offset"]):
        return None
    if per_channel and kind not in ("depth_to_space", "crop", "pad"):
        return None
    settings = dict(node.settings)
    if per_channel and kind == "depth_to_space":
        copies = move.settings["settings"]["scale"] ** 2
        settings = {
            key: np.tile(value, copies) if np.size(value) > 1 else value
            for key, value in settings.items()
        }
    inner = Node("affine", node.name, move.inputs, settings)
    return Node("move", move.name, [inner], move.settings)


def _is_image(node: Node) -> bool:
    """Whether nothing but movements stands between the image and a node."""
    while node.op == "move":
        node = node.inputs[0]
    return node.op == "image"


def _folded(node: Node, reading: dict[int, list[Node]]) -> Node | None:
    if node.op != "affine":
        return None
    (source,) = node.inputs
    scale, offset = node.settings["scale"], node.settings["offset"]
    if not np.any(offset) and np.all(scale == 1):
        return source
    if source.op == "affine" and _alone_read(source, reading):
        settings = {
            "scale": source.settings["scale"] * scale,
            "offset": source.settings["offset"] * scale + offset,
        }
        return Node("affine", node.name, source.inputs, settings)
    ends = _is_end(node, reading)
    if ends and np.size(scale) == 1 and scale > 0 and not np.any(offset):
        return None  # the unit of the image, see `emit`
    if source.linear and _alone_read(source, reading) and not _is_shared(source, reading):
        weights, bias = source.weights["kernel"], source.weights["bias"]
        if ends and np.size(scale) == 1 and scale > 0:
            # The factor stays with the image, and the weights keep the size that they have.
            folded = {"kernel": weights, "bias": (bias + offset / scale).astype(np.float32)}
            convolution = Node("convolution", source.name, source.inputs, source.settings, folded)
            return Node("affine", node.name, [convolution], {"scale": scale, "offset": 0.0 * scale})
        folded = {
            "kernel": (weights * scale).astype(np.float32),
            "bias": (bias * scale + offset).astype(np.float32),
        }
        return Node("convolution", source.name, source.inputs, source.settings, folded)
    return None


def _is_shared(node: Node, reading: dict[int, list[Node]]) -> bool:
    if node.shared is not None:
        return True
    return any(reader.shared == node.name for found in reading.values() for reader in found)


def _is_end(node: Node, reading: dict[int, list[Node]]) -> bool:
    """Whether nothing but movements and clips stands behind a node."""
    while following := reading[id(node)]:
        if len(following) > 1 or following[0].op not in ("move", "clip"):
            return False
        node = following[0]
    return True


def _clipped(node: Node, reading: dict[int, list[Node]]) -> Node | None:
    """A ReLU into the operator in front of it."""
    if node.op != "clip":
        return None
    (source,) = node.inputs
    low, high = node.settings["low"], node.settings["high"]
    if high is not None and math.isinf(high):
        node.settings["high"] = high = None
    if source.op == "clip" and _alone_read(source, reading):
        ends = [
            [x for x in (node.settings[key], source.settings[key]) if x is not None]
            for key in ("low", "high")
        ]
        settings = {
            "low": max(ends[0]) if ends[0] else None,
            "high": min(ends[1]) if ends[1] else None,
        }
        return Node("clip", node.name, source.inputs, settings)
    if low != 0 or not (source.linear or (source.op == "add" and not source.settings.get("relu"))):
        return None
    if not _alone_read(source, reading):
        return None
    settings = {**source.settings, "relu": True, "ceiling": high}
    return Node(source.op, source.name, source.inputs, settings, source.weights, source.shared)


def _alone(node: Node, reading: dict[int, list[Node]]) -> Node | None:
    """An "affine" that nothing took, as a convolution of its own: 1x1, each channel by itself."""
    if node.op != "affine":
        return None
    scale, offset = node.settings["scale"], node.settings["offset"]
    if np.size(scale) == 1 and scale > 0 and (_is_image(node.inputs[0]) or not np.any(offset)):
        return None
    channels = node.channels
    weights = {
        "kernel": np.broadcast_to(scale, (1, 1, 1, channels)).astype(np.float32),
        "bias": np.broadcast_to(offset, (channels,)).astype(np.float32),
    }
    settings: dict[str, Any] = {"kernel_size": [1, 1], "geometry": {"groups": channels}}
    return Node("convolution", node.name, node.inputs, settings, weights)
