"""Layers of an unknown class, told by what they do to numbers.

Depth-to-space is written in many ways: a function of Keras, a Lambda or a layer of one's own around
TensorFlow's, or reshape, transpose, reshape. All of them move pixels, and a tensor whose pixels
have different values shows where each one goes.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.errors import InputError
from pams_tf.models.graph.nodes import Node

_HEIGHT, _WIDTH = 12, 24  # divisible by every factor that matters
_ZERO = -1  # the place of a value that is no pixel but a 0
_UNKNOWN = "it is not known; write it with layers of docs/own_network.md"
_INSTEAD = {
    "Softmax": "softmax attention has no integer form here; a sigmoid gate does: "
    "Multiply()([x, Conv2D(C, 1, activation='sigmoid')(x)])",
    "LayerNormalization": "it computes statistics of each image; train with BatchNormalization, "
    "which is folded, or without normalization",
    "GroupNormalization": "it computes statistics of each image; train with BatchNormalization",
    "UnitNormalization": "it computes statistics of each image; train without it",
    "MultiHeadAttention": "attention over pixels has no integer form here; use convolutions",
    "Attention": "attention over pixels has no integer form here; use convolutions",
    "Dense": "use Conv2D with a 1x1 kernel, which is the same for each pixel",
    "EinsumDense": "use Conv2D with a 1x1 kernel",
    "MaxPooling2D": "use a Conv2D with stride 2",
    "AveragePooling2D": "use a Conv2D with stride 2",
    "GlobalAveragePooling2D": "a mean over the whole image would tie all tiles together; gate each "
    "pixel by what is around it, with a Conv2D and a sigmoid",
    "Mean": "a mean over the whole image would tie all tiles together; gate each pixel by what is "
    "around it, with a Conv2D and a sigmoid",
    "Resizing": "a fixed size does not fit every image; use UpSampling2D",
    "Flatten": "a network for super-resolution keeps the axes (N, H, W, C)",
    "Gelu": "use relu, or silu, which is x * sigmoid(x)",
    "MapCoordinates": "sampling at computed positions has no integer form; use convolutions",
}


class UnrecognizedError(InputError):
    """An operation in front of this one has no integer form; the message names that one."""


@dataclasses.dataclass(eq=False)
class Opaque:
    """The result of an operation that moves pixels in a way that is not known yet.

    Attributes:
      source: the last known tensor in front of it.
      function: from values of `source`, (1, h, w, C), to its own.
      channels: of `source`.
      name: path and class of the first unknown operation.
      kind: name of that class.
    """

    source: Node
    function: Callable[[Any], Any]
    channels: int
    name: str
    kind: str

    def refused(self) -> UnrecognizedError:
        """What can be said if it stays unknown."""
        advice = _INSTEAD.get(
            self.kind,
            "it neither moves pixels nor is a known function; write it with layers of "
            "docs/own_network.md",
        )
        return UnrecognizedError(f"{self.name}: {advice}")


def continued(
    operation: Any,
    inputs: Sequence[Node | Opaque],
    args: Any,
    kwargs: Any,
    where: str,
    named: Callable[[str], str],
) -> Any:
    """The result of an operation whose class says nothing, or that follows such a one.

    A list of results if it has several.

    Raises:
      InputError: it has weights, or reads several tensors.
    """
    kind = type(operation).__name__
    if getattr(operation, "weights", None) or len({id(x) for x in inputs}) != 1:
        strange = next((x for x in inputs if isinstance(x, Opaque)), None)
        if strange is not None:
            raise strange.refused()
        raise InputError(_INSTEAD.get(kind, _UNKNOWN))
    (x, *_) = inputs

    def step(tensor: Any) -> Any:
        filled = keras.tree.map_structure(
            lambda value: tensor if value is x else value, (list(args), dict(kwargs))
        )
        return operation(*filled[0], **filled[1])

    if isinstance(x, Opaque):
        before = x.function
        unknown = dataclasses.replace(x, function=lambda tensor: step(before(tensor)))
    else:
        unknown = Opaque(x, step, x.channels, f"{where} ({kind})", kind)
    count = _results(unknown)
    if count is None:
        return _recognized(unknown, named)
    return [
        _recognized(
            dataclasses.replace(unknown, function=functools.partial(_result, unknown, index)),
            functools.partial(_numbered, named, index),
        )
        for index in range(count)
    ]


def _results(unknown: Opaque) -> int | None:
    """How many tensors the operations give as a list; None for one that is no list."""
    probe = np.zeros((1, _HEIGHT, _WIDTH, unknown.channels), np.float32)
    try:
        results = unknown.function(tf.constant(probe))
    except Exception:  # an operation may refuse the probe in any way
        return None
    return len(results) if isinstance(results, list | tuple) else None


def _result(unknown: Opaque, index: int, tensor: Any) -> Any:
    return unknown.function(tensor)[index]


def _numbered(named: Callable[[str], str], index: int, suffix: str = "") -> str:
    return named(f"{suffix}_{index}" if suffix else str(index))


def _recognized(unknown: Opaque, named: Callable[[str], str]) -> Node | Opaque:
    source, channels = unknown.source, unknown.channels
    found = _movement(unknown.function, channels) or _elementwise(unknown.function, channels)
    if found is None:
        return unknown
    for op, settings in found:
        source = Node(op, named("" if (op, settings) == found[-1] else "order"), [source], settings)
    return source


_Found = list[tuple[str, dict[str, Any]]]


def _run(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray | None:
    try:
        y = np.asarray(function(tf.constant(x)))
    except Exception:  # an operation may refuse the probe in any way
        return None
    return y if y.ndim == 4 and y.shape[0] == 1 else None


def _moved(movement: str, **settings: Any) -> tuple[str, dict[str, Any]]:
    return "move", {"movement": movement, "settings": settings}


def _movement(function: Callable[[Any], Any], channels: int) -> _Found | None:
    """What a function does to pixels of different values, none of which is 0."""
    places = np.arange(_HEIGHT * _WIDTH * channels).reshape(1, _HEIGHT, _WIDTH, channels)
    # Both signs everywhere, or a ReLU would look like a crop and a border of zeros.
    ranks = np.random.default_rng(0).permutation(places.size)
    middle = places.size // 2
    y = _run(function, (8 * (ranks[places] - middle) + 4).astype(np.float32))
    if y is None or not y.size:
        return None
    found = (y.astype(np.float64) - 4) / 8 + middle
    known = np.isin(found, ranks)
    if not np.all(known | (y == 0)):
        return None
    moved = np.where(known, np.argsort(ranks)[np.where(known, found, 0).astype(int)], _ZERO)
    return _shuffled(places, moved) or _bordered(places, moved)


def _shuffled(x: np.ndarray, y: np.ndarray) -> _Found | None:
    (_, height, width, channels), (_, h, w, _) = x.shape, y.shape
    if h % height == 0 and h // height == w // width and w % width == 0:
        s = h // height
        corner = y[0, :s, :s].reshape(-1)  # by row, column, channel: the order of depth_to_space
        order = corner % channels
        if np.array_equal(_depth_to_space(x[..., order], s), y):
            return _ordered(order, channels, s)
    if height % h == 0 and height // h == width // w and width % w == 0:
        s = height // h
        flat = _space_to_depth(x, s)
        order = _positions(flat[0, 0, 0], y[0, 0, 0])
        if order is not None and np.array_equal(flat[..., order], y):
            back = [] if _is_range(order, flat.shape[-1]) else [_moved("select", channels=order)]
            return [_moved("space_to_depth", scale=s), *back]
    return None


def _ordered(order: np.ndarray, channels: int, scale: int) -> _Found:
    """Channels in an order, and then depth-to-space."""
    wanted = [int(channel) for channel in order]
    found: _Found = []
    times, rest = divmod(len(wanted), channels)
    if times > 1 and not rest and wanted == list(range(channels)) * times:
        found.append(_moved("repeat", times=times))
    elif not _is_range(wanted, channels):
        found.append(_moved("select", channels=wanted))
    if scale > 1:
        found.append(_moved("depth_to_space", scale=scale))
    return found or [_moved("crop", borders=[[0, 0], [0, 0]])]


def _bordered(x: np.ndarray, y: np.ndarray) -> _Found | None:
    (_, height, width, channels), (_, h, w, c) = x.shape, y.shape
    if c != channels:
        return None
    kept = np.argwhere(y[0, ..., 0] != _ZERO)
    if not len(kept):
        return None
    # The first pixel of the input that is kept, and where it is in the result.
    row, column = (int(value) for value in kept[0])
    above, before = divmod(int(y[0, row, column, 0]) // channels, width)
    cut = [
        [above, max(0, height - above - (h - row))],
        [before, max(0, width - before - (w - column))],
    ]
    part = x[:, cut[0][0] : height - cut[0][1], cut[1][0] : width - cut[1][1]]
    added = [[row, h - row - part.shape[1]], [column, w - column - part.shape[2]]]
    if min(map(min, added)) < 0 or not np.array_equal(
        np.pad(part, [(0, 0), *added, (0, 0)], constant_values=_ZERO), y
    ):
        return None
    found: _Found = []
    if np.any(cut) or not np.any(added):
        found.append(_moved("crop", borders=cut))
    if np.any(added):
        found.append(_moved("pad", borders=added))
    return found


def _elementwise(function: Callable[[Any], Any], channels: int) -> _Found | None:
    """A straight line, a clip, or a function that TensorFlow Lite has."""
    values = np.concatenate([np.linspace(-400, 400, 1201), np.linspace(-8, 8, 1201)])
    values = np.resize(values, _HEIGHT * _WIDTH * channels).astype(np.float32)
    x = values.reshape(1, _HEIGHT, _WIDTH, channels)
    y = _run(function, x)
    if y is None or y.shape != x.shape or not np.isfinite(y).all():
        return None
    close = lambda wanted: np.allclose(y, wanted, rtol=1e-5, atol=1e-5)  # noqa: E731
    low, high = float(y.min()), float(y.max())
    clip = (None if low <= -399 else low, None if high >= 399 else high)
    if clip != (None, None) and close(np.clip(x, *clip)):
        return [("clip", {"low": clip[0], "high": clip[1]})]
    line = np.polyfit(x.ravel().astype(np.float64), y.ravel(), 1)
    if close(line[0] * x + line[1]):
        return [("affine", {"scale": np.float64(line[0]), "offset": np.float64(line[1])})]
    for kind in ("tanh", "sigmoid"):
        if close(getattr(tf, kind)(x).numpy()):
            return [("function", {"kind": kind})]
    slope = float(y.ravel()[x.argmin()] / x.min())
    if close(np.where(x < 0, slope * x, x)):
        return [("function", {"kind": "leaky_relu", "slope": slope})]
    return None


def _depth_to_space(x: np.ndarray, scale: int) -> np.ndarray:
    n, h, w, c = x.shape
    if c % scale**2:
        return np.empty(0)
    parts = x.reshape(n, h, w, scale, scale, c // scale**2)
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(n, h * scale, w * scale, -1)


def _space_to_depth(x: np.ndarray, scale: int) -> np.ndarray:
    n, h, w, c = x.shape
    parts = x.reshape(n, h // scale, scale, w // scale, scale, c)
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(n, h // scale, w // scale, -1)


def _positions(have: np.ndarray, wanted: np.ndarray) -> list[int] | None:
    places = {float(value): index for index, value in enumerate(have)}
    found = [places.get(float(value)) for value in wanted]
    return None if None in found else [int(place) for place in found if place is not None]


def _is_range(order: Sequence[int], count: int) -> bool:
    return list(order) == list(range(count))
