"""Layers that arrange the values of a tensor differently and compute nothing."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pams_tf.models.blocks import DepthToSpace, TypeKept


class Movement(TypeKept):
    """Base class; NHWC. It works on values and on codes alike, because a zero is the code 0."""


@keras.saving.register_keras_serializable("pams_tf")
class SpaceToDepth(Movement):
    """(N, s*H, s*W, C) -> (N, H, W, s*s*C), the inverse of `DepthToSpace`."""

    def __init__(self, scale: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, x: Any) -> Any:
        return tf.nn.space_to_depth(x, self.scale)

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = input_shape
        s = self.scale
        return (n, h and h // s, w and w // s, c * s * s)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("pams_tf")
class Repeat(Movement):
    """(N, H, W, C) -> (N, H, W, times*C): all channels one after another, several times."""

    def __init__(self, times: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.times = times

    def call(self, x: Any) -> Any:
        return tf.concat([x] * self.times, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], input_shape[-1] * self.times)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "times": self.times}


@keras.saving.register_keras_serializable("pams_tf")
class Select(Movement):
    """(N, H, W, C) -> (N, H, W, len(channels)): some channels, in an order of their own."""

    def __init__(self, channels: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = [int(channel) for channel in channels]

    def call(self, x: Any) -> Any:
        first, last = self.channels[0], self.channels[-1]
        if self.channels == list(range(first, last + 1)):
            return x[..., first : last + 1]
        return tf.gather(x, self.channels, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], len(self.channels))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "channels": self.channels}


class _Borders(Movement):
    """Base class of what adds or removes rows and columns: ((top, bottom), (left, right))."""

    def __init__(self, borders: Sequence[Sequence[int]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.borders = [[int(end) for end in axis] for axis in borders]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "borders": self.borders}


@keras.saving.register_keras_serializable("pams_tf")
class Pad(_Borders):
    """Zeros around the image."""

    def call(self, x: Any) -> Any:
        return tf.pad(x, [[0, 0], *self.borders, [0, 0]])

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = input_shape
        (top, bottom), (left, right) = self.borders
        return (n, h and h + top + bottom, w and w + left + right, c)


@keras.saving.register_keras_serializable("pams_tf")
class Crop(_Borders):
    """The image without its border."""

    def call(self, x: Any) -> Any:
        (top, bottom), (left, right) = self.borders
        return x[:, top : -bottom or None, left : -right or None]

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = input_shape
        (top, bottom), (left, right) = self.borders
        return (n, h and h - top - bottom, w and w - left - right, c)


@keras.saving.register_keras_serializable("pams_tf")
class Rectify(Movement):
    """A ReLU whose result stays on the grid of its input: max(x, 0)."""

    def call(self, x: Any) -> Any:
        return tf.nn.relu(x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


MOVEMENTS: dict[str, type[keras.layers.Layer]] = {
    "depth_to_space": DepthToSpace,
    "space_to_depth": SpaceToDepth,
    "repeat": Repeat,
    "select": Select,
    "pad": Pad,
    "crop": Crop,
    "rectify": Rectify,
}
"""By the name that a graph uses."""


def movement(kind: str, settings: Any, name: str | None = None) -> Movement:
    """The layer of a movement with its settings."""
    return MOVEMENTS[kind](**settings, name=name)
