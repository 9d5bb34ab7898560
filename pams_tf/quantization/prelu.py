"""A PReLU with quantized slopes."""

from typing import Any

import keras
import tensorflow as tf

from pams_tf.quantization import functional
from pams_tf.quantization.functional.stored import stored_scale

SLOPE_BITS = 8


@keras.saving.register_keras_serializable("pams_tf")
class QuantPReLU(keras.layers.PReLU):
    """`keras.layers.PReLU` with one slope per channel, on a symmetric grid of 8 bits.

    The float slopes are trained and saved, as `alpha` (1, 1, C). Computes in float32 under every
    dtype policy, as quantizers do.

    Example:
      >>> import keras, numpy as np
      >>> from pams_tf.quantization import QuantPReLU
      >>> layer = QuantPReLU(alpha_initializer=keras.initializers.Constant(0.25))
      >>> layer(np.float32([[[[-4.0, 2.0]]]])).numpy().ravel().tolist()
      [-1.0, 2.0]

    Args:
      **kwargs: those of `keras.layers.PReLU`; `shared_axes` and `dtype` are set here.

    Returns:
      When called on float32 (N, H, W, C): the same shape and unit.

    Source: He et al., "Delving Deep into Rectifiers", ICCV 2015; TensorFlow Lite's quantization
    specification of PRELU.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "shared_axes": [1, 2], "dtype": "float32"})

    def step(self) -> Any:
        """The scale of the slopes in a file: a float32 scalar."""
        limit = tf.reduce_max(tf.abs(self.alpha.value))
        return stored_scale(tf.where(limit > 0, limit, 1.0))

    def slopes(self) -> Any:
        """The quantized slopes, float32 (1, 1, 1, C); their gradient reaches the float ones."""
        return functional.max_abs(self.alpha.value, SLOPE_BITS)[None]

    def call(self, x: Any, slopes_only: bool = False) -> Any:
        """PReLU of values (N, H, W, C), or the slopes alone, for an arithmetic of codes."""
        slopes = self.slopes()
        return slopes if slopes_only else tf.where(x < 0, slopes * x, x)

    def compute_output_spec(self, x: Any, slopes_only: bool = False) -> Any:
        shape = (1, 1, 1, x.shape[-1]) if slopes_only else x.shape
        return keras.KerasTensor(shape, "float32")
