"""The integer graph for accelerators that have no depth-to-space operator."""

from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.export.integer_sites import IntegerSites
from pams_tf.export.values import Held, Value

IMAGE_CHANNELS = 3


class NpuSites(IntegerSites):
    """Writes convolution and depth-to-space as convolutions whose results lie side by side.

    Row s*h + i of the enlarged image is row h of the channels [i*s*C, (i+1)*s*C) that were
    convolved: (W, s*C) there, (s*W, C) here, the same bytes. So the convolution is cut into s, each
    with its share of the kernel; a concatenation along the width puts the rows one behind the
    other, and a reshape gives them their places. The multiplications are the same, and so is every
    code, for any s. Arm's compiler places CONV_2D, CONCATENATION and RESHAPE on every Ethos-U.
    """

    def depth_to_space(self, x: Value, scale: int, name: str) -> Value:
        assert isinstance(x, Held)
        channels = x.channels // scale**2

        def compute() -> Any:
            rows = [x.part(row).in_unit(x.unit) for row in np.split(np.arange(x.channels), scale)]
            _, height, width, _ = rows[0].shape
            return tf.reshape(tf.concat(rows, axis=2), (1, height * scale, width * scale, channels))

        y = x.moved(name, compute, channels)
        y.enlarged = x, scale
        return y


class EthosU85Sites(NpuSites):
    """Also convolves to the image before the last depth-to-space, not behind it.

    A k x k convolution of the enlarged tensor, C to 3 channels, is a k x k one of the tensor in
    front, s*s*C to s*s*3: the same weights, each s*s times, and zeros between them. So three
    channels are moved in the place of C, and every code is the same. By Vela's estimate that spares
    an Ethos-U85 more memory time than its multiplications cost, unless it has the fastest DRAM that
    Vela knows; on U55 and U65 it mostly loses.
    """

    def convolution(
        self, x: Value, filters: int, kernel_size: int, name: str, **settings: Any
    ) -> Value:
        if filters != IMAGE_CHANNELS or x.enlarged is None:
            return super().convolution(x, filters, kernel_size, name, **settings)
        source, scale = x.enlarged
        shift = settings.get("shift")
        constants = self._constants[name].folded(
            settings.get("gain", 1.0), 0.0 if shift is None else np.asarray(shift)
        )
        moved = constants.before_depth_to_space(scale)
        y = self._convolved(source, moved, settings.get("relu", False))
        return super().depth_to_space(self.image(y), scale, f"{name}_shuffle")
