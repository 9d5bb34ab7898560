"""The first convolution while it is trained: one of the image less its middle.

The pixels of an image are positive, so a filter whose weights do not sum to 0 responds to every
image with about its sum: behind a ReLU it is always on or always off. Training moves that sum with
every step, and what is off for good learns nothing: of 28 first filters of a plain network, 26 went
that way. Less its middle, an image has both signs, and a filter that is off here is on there.

What is trained is not what is kept: with the other bias of `merged_bias`, a plain convolution
computes the same.
"""

from typing import Any

import keras
import tensorflow as tf

MIDDLE = 127.5


@keras.saving.register_keras_serializable("pams_tf")
class CentredConv2D(keras.layers.Conv2D):
    """A convolution of an image in [0, 255] less `MIDDLE`, whose border is padded with black.

    For kernels of odd sizes, strides of 1 and padding "same".
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """(N, H, W, I) -> (N, H, W, O)."""
        rows, columns = (size // 2 for size in self.kernel_size)
        padded = tf.pad(inputs, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
        return keras.ops.conv(padded - MIDDLE, kernel, 1, "valid")

    def merged_bias(self) -> Any:
        """The bias (O,) with which a plain convolution has the same result."""
        return self.bias - self._of_middle()

    def centre(self) -> None:
        """Take the bias, which is that of a plain convolution, for `merged_bias`."""
        self.bias.assign(self.bias + self._of_middle())

    def _of_middle(self) -> Any:
        """What the filters make of an image that is `MIDDLE` everywhere, (O,)."""
        return MIDDLE * tf.reduce_sum(self.kernel.value, (0, 1, 2))
