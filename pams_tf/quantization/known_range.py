"""A quantizer for a range that is known in advance."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("pams_tf")
class RangeQuantizer(keras.layers.Layer):
    """Quantizes to 8 bits on a range that is known, such as that of an image; nothing is learned.

    The grid is that of TensorFlow's fake quantization, which represents zero exactly, so that the
    same two numbers in an integer file mean the same codes.

    Args:
      minimum, maximum: the range; minimum <= 0 <= maximum.
    """

    def __init__(self, minimum: float, maximum: float, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        if not minimum <= 0 < maximum:
            raise ValueError(f"the range [{minimum}, {maximum}] must contain 0 and not be empty")
        self.minimum = minimum
        self.maximum = maximum

    def call(self, x: Any) -> Any:
        return tf.quantization.fake_quant_with_min_max_args(x, self.minimum, self.maximum)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["dtype"]
        return {**config, "minimum": self.minimum, "maximum": self.maximum}
