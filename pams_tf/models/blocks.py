"""Small layers shared by the super-resolution networks."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

# Mean RGB of DIV2K times 255, as in the released EDSR (its images are in [0, 255]).
RGB_MEAN = (0.4488 * 255, 0.4371 * 255, 0.4040 * 255)


class TypeKept(keras.layers.Layer):
    """Base class of layers that compute in the type of their input under every dtype policy.

    Under a mixed one, Keras would round an image or codes to the type of the convolutions.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "autocast": False})

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor(self.compute_output_shape(x.shape), x.dtype)


@keras.saving.register_keras_serializable("pams_tf")
class ChannelShift(TypeKept):
    """Adds a constant to each channel (NHWC): minus the mean at the head, the mean at the tail."""

    def __init__(self, shift: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shift = tuple(float(value) for value in shift)

    def call(self, x: Any) -> Any:
        return x + tf.constant(self.shift, x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shift": self.shift}


@keras.saving.register_keras_serializable("pams_tf")
class Clip(TypeKept):
    """Clips values to [low, high]."""

    def __init__(self, low: float, high: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = low
        self.high = high

    def call(self, x: Any) -> Any:
        return tf.clip_by_value(x, self.low, self.high)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "low": self.low, "high": self.high}


@keras.saving.register_keras_serializable("pams_tf")
class DepthToSpace(TypeKept):
    """(N, H, W, s*s*C) -> (N, s*H, s*W, C); channel (i*s + j)*C + c goes to row i, column j."""

    def __init__(self, scale: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, x: Any) -> Any:
        return tf.nn.depth_to_space(x, self.scale)

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = input_shape
        s = self.scale
        return (n, h and h * s, w and w * s, c // (s * s))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}
