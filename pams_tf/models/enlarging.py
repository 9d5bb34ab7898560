"""Bilinear enlargement as a convolution with whole numbers, on values and on codes."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

LARGEST_SCALE = 6
"""The largest weight of a larger scale is no int8 code."""


def bilinear_kernel(scale: int) -> tuple[np.ndarray, int]:
    """Whole weights (3, 3, s*s) and what their sums are divided by: (2s)^2, or s^2 for an odd s.

    Pixel (r, c) of the s*s that one pixel becomes is weight r*s + c of its neighbourhood. The
    centres of pixels lie at halves, as in Keras.
    """
    parts = scale if scale % 2 else 2 * scale
    weights = np.zeros((3, scale))
    for pixel in range(scale):
        place = (pixel + 0.5) / scale - 0.5  # of its centre, from that of the pixel
        before = int(np.floor(place))
        weights[1 + before, pixel] += 1 - (place - before)
        weights[2 + before, pixel] += place - before
    weights = np.rint(weights * parts)
    kernel = np.einsum("ai,bj->abij", weights, weights).reshape(3, 3, scale**2)
    return kernel.astype(np.float32), parts**2


def neighbourhoods(x: Any, scale: int) -> Any:
    """(N, H, W, C) -> (N, H+2, W+2, s*s*C), the image with its border repeated, s*s times."""
    bordered = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    return tf.concat([bordered] * scale**2, axis=-1)


@keras.saving.register_keras_serializable("pams_tf")
class Bilinear(keras.layers.Layer):
    """(N, H, W, C) -> (N, s*H, s*W, C).

    Args:
      scale: s.
      whole: whether the input are codes; the result is then rounded half to even, as a convolution
        of codes is, with the gradient of values.
    """

    def __init__(self, scale: int, whole: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.whole = whole

    def call(self, x: Any) -> Any:
        kernel, parts = bilinear_kernel(self.scale)
        kernel = np.repeat(kernel, x.shape[-1], axis=-1)[..., None]
        y = tf.nn.depthwise_conv2d(
            neighbourhoods(x, self.scale), tf.constant(kernel, x.dtype), (1, 1, 1, 1), "VALID"
        )
        y = y / parts
        if self.whole:
            y += tf.stop_gradient(tf.round(y) - y)
        return tf.nn.depth_to_space(y, self.scale)

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = input_shape
        return (n, h and h * self.scale, w and w * self.scale, c)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "whole": self.whole}
