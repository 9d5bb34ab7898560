"""The integer graph for accelerators that have no depth-to-space operator."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.export.graph import IntegerSites
from pams_tf.models import SuperResolution


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
            return IntegerSites.convolution(self, x, len(channels), kernel_size, part, **settings)

        self._rows[y.ref()] = row
        return y

    def activation(self, x: Any, name: str, *, edge: bool = False) -> Any:
        y = super().activation(x, name, edge=edge)
        if x.ref() in self._rows:
            row = self._rows[x.ref()]
            self._rows[y.ref()] = lambda channels: IntegerSites.activation(
                self, row(channels), name, edge=edge
            )
        return y

    def depth_to_space(self, x: Any, scale: int, name: str) -> Any:
        """(1, H, W, s*s*C) -> (1, s*H, s*W, C); the convolution behind `x` falls away, unused."""
        _, height, width, channels = x.shape
        rows = [self._rows[x.ref()](part) for part in np.split(np.arange(channels), scale)]
        shape = (1, height * scale, width * scale, channels // scale**2)
        return tf.reshape(tf.concat(rows, axis=2), shape)
