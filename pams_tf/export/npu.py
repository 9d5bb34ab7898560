"""The integer graph for accelerators that have no depth-to-space operator."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.export.graph import IntegerSites
from pams_tf.models import SuperResolution

IMAGE_CHANNELS = 3


class NpuSites(IntegerSites):
    """Writes convolution and depth-to-space as convolutions whose results lie side by side.

    Row s*h + i of the enlarged image is row h of the channels [i*s*C, (i+1)*s*C) that were
    convolved: (W, s*C) there, (s*W, C) here, the same bytes. So the convolution is cut into s, each
    with its share of the kernel; a concatenation along the width puts the rows one behind the
    other, and a reshape gives them their names. The multiplications are the same, and so is every
    code, for any s. Arm's compiler places CONV_2D, CONCATENATION and RESHAPE on every Ethos-U.
    """

    def __init__(self, whole: SuperResolution, weights: str = "int8") -> None:
        super().__init__(whole, weights)
        self._rows: dict[Any, Callable[[np.ndarray], Any]] = {}

    def convolution(
        self, x: Any, filters: int, kernel_size: int, name: str, **settings: Any
    ) -> Any:
        y = super().convolution(x, filters, kernel_size, name, **settings)

        def row(channels: np.ndarray) -> Any:
            part = f"{name}_{channels[0]}"
            whole = self._constants[name]
            self._constants[part] = dataclasses.replace(
                whole,
                kernel=whole.kernel[..., channels],
                bias=whole.bias[channels],
                step=whole.step[..., channels] if whole.step.size > 1 else whole.step,
            )
            shift = settings.get("shift")
            share = {**settings, "shift": None if shift is None else np.asarray(shift)[channels]}
            return IntegerSites.convolution(self, x, len(channels), kernel_size, part, **share)

        self._rows[y.ref()] = row
        return y

    def image(self, x: Any) -> Any:
        y = super().image(x)
        if x.ref() in self._rows:
            row = self._rows[x.ref()]
            self._rows[y.ref()] = lambda channels: IntegerSites.image(self, row(channels))
        return y

    def activation(self, x: Any, name: str, *, edge: bool = False, after_relu: bool = False) -> Any:
        y = super().activation(x, name, edge=edge, after_relu=after_relu)
        if x.ref() in self._rows:
            row = self._rows[x.ref()]
            self._rows[y.ref()] = lambda channels: IntegerSites.activation(
                self, row(channels), name, edge=edge, after_relu=after_relu
            )
        return y

    def depth_to_space(self, x: Any, scale: int, name: str) -> Any:
        """(1, H, W, s*s*C) -> (1, s*H, s*W, C); the convolution behind `x` falls away, unused."""
        _, height, width, channels = x.shape
        rows = [self._rows[x.ref()](part) for part in np.split(np.arange(channels), scale)]
        shape = (1, height * scale, width * scale, channels // scale**2)
        return self._moved(x, tf.reshape(tf.concat(rows, axis=2), shape))


class EthosU85Sites(NpuSites):
    """Also convolves to the image before the last depth-to-space, not behind it.

    A k x k convolution of the enlarged tensor, C to 3 channels, is a k x k one of the tensor in
    front, s*s*C to s*s*3: the same weights, each s*s times, and zeros between them. So three
    channels are moved in the place of C, and every code is the same. By Vela's estimate that spares
    an Ethos-U85 more memory time than its multiplications cost, unless it has the fastest DRAM that
    Vela knows; on U55 and U65 it mostly loses.
    """

    def __init__(self, whole: SuperResolution, weights: str = "int8") -> None:
        super().__init__(whole, weights)
        self._before: dict[Any, tuple[Any, int]] = {}

    def depth_to_space(self, x: Any, scale: int, name: str) -> Any:
        y = super().depth_to_space(x, scale, name)
        self._before[y.ref()] = (x, scale)
        return y

    def convolution(
        self, x: Any, filters: int, kernel_size: int, name: str, **settings: Any
    ) -> Any:
        if filters != IMAGE_CHANNELS or x.ref() not in self._before:
            return super().convolution(x, filters, kernel_size, name, **settings)
        x, scale = self._before[x.ref()]
        whole, copies = self._constants[name], scale**2
        self._constants[f"{name}_before"] = dataclasses.replace(
            whole,
            kernel=before_depth_to_space(whole.kernel, scale),
            bias=np.tile(whole.bias, copies),
            step=np.tile(whole.step, copies) if whole.step.size > 1 else whole.step,
        )
        if settings.get("shift") is not None:
            settings["shift"] = np.tile(settings["shift"], copies)
        y = super().convolution(x, filters * copies, kernel_size, f"{name}_before", **settings)
        return super().depth_to_space(self.image(y), scale, f"{name}_shuffle")


def before_depth_to_space(kernel: np.ndarray, scale: int) -> np.ndarray:
    """(k, k, C, F), k odd -> (k, k, s*s*C, s*s*F): conv(d2s(x), kernel) = d2s(conv(x, result))."""
    size, _, channels, filters = kernel.shape
    reach, sub = size // 2, range(scale)
    offsets = range(-reach, reach + 1)
    moved = np.zeros((size, size, scale, scale, channels, scale, scale, filters), kernel.dtype)
    for i, j, u, v in itertools.product(sub, sub, offsets, offsets):
        (a, p), (b, q) = divmod(i + u, scale), divmod(j + v, scale)
        moved[reach + a, reach + b, p, q, :, i, j] = kernel[reach + u, reach + v]
    return moved.reshape(size, size, scale**2 * channels, scale**2 * filters)
