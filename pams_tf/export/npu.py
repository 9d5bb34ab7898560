"""The integer graph for accelerators without a depth-to-space operator."""

from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.export.integer_sites import IntegerSites
from pams_tf.export.values import Held, Value
from pams_tf.models.sites import PLAIN

IMAGE_CHANNELS = 3


class NpuSites(IntegerSites):
    """Replaces a convolution and depth-to-space by convolutions, a concatenation and a reshape.

    With an upscaling factor s, row s*h + i of the enlarged tensor consists of row h of the channels
    [i*s*C, (i+1)*s*C) of the convolution: (W, s*C) there and (s*W, C) here, the same bytes. So the
    convolution is split into s convolutions, each with its share of the kernel; a concatenation
    along the width puts their rows one after another, and a reshape gives the enlarged tensor. The
    number of multiplications and every code are the same, for any s. Arm's compiler places CONV_2D,
    CONCATENATION and RESHAPE on every Ethos-U.
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
    """Also moves the convolution to the image in front of the last depth-to-space.

    A k x k convolution of the enlarged tensor from C to 3 channels equals a k x k convolution of
    the tensor in front of the depth-to-space, from s*s*C to s*s*3 channels, whose kernel holds each
    weight s*s times, with zeros in between. The depth-to-space then moves 3 channels instead of C,
    and every code is the same. By Vela's estimate this saves an Ethos-U85 more memory time than the
    added multiplications cost, unless it has the fastest DRAM that Vela knows; on the U55 and U65
    it is mostly slower.
    """

    def convolution(
        self, x: Value, filters: int, kernel_size: Any, name: str, **settings: Any
    ) -> Value:
        plain = settings.get("geometry", PLAIN) == PLAIN and np.ndim(kernel_size) == 0
        if filters != IMAGE_CHANNELS or x.enlarged is None or not plain:
            return super().convolution(x, filters, kernel_size, name, **settings)
        source, scale = x.enlarged
        shift = settings.get("shift")
        constants = self._constants[name].folded(
            settings.get("gain", 1.0), 0.0 if shift is None else np.asarray(shift)
        )
        moved = constants.before_depth_to_space(scale)
        y = self._convolved(source, moved, settings.get("relu", False))
        return super().depth_to_space(self.image(y), scale, f"{name}_shuffle")
