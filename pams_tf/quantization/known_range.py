"""A quantizer for a range that is known in advance."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.quantization.base import Quantizer
from pams_tf.quantization.functional.grids import clip_and_round, code_ends


@keras.saving.register_keras_serializable("pams_tf")
class RangeQuantizer(Quantizer):
    """Quantizes to 8 bits on a range that is known, such as that of an image; nothing is learned.

    The range is moved by less than a step, so that zero is exact. Input and output are float32, any
    shape.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import RangeQuantizer
      >>> RangeQuantizer(0.0, 255.0)(np.float32([0.4, 1.6, 300.0])).numpy().tolist()
      [0.0, 2.0, 255.0]

    Args:
      minimum, maximum: the range, in the unit of the input; minimum <= 0 < maximum.

    Raises:
      ValueError: the range does not contain 0 or is empty.

    Source: Jacob et al. 2018, arXiv 1712.05877, Section 3.1.
    """

    def __init__(self, minimum: float, maximum: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not minimum <= 0 < maximum:
            raise ValueError(f"the range [{minimum}, {maximum}] must contain 0 and not be empty")
        self.minimum = minimum
        self.maximum = maximum

    def steps(self) -> tuple[Any, int, int]:
        low, high = float(np.float32(self.minimum)), float(np.float32(self.maximum))
        scale = (high - low) / 255
        zero = round(-low / scale)
        return tf.constant(scale, tf.float64), -zero, 255 - zero

    def codes(self, tensors: Any, arithmetic: Any, *, nonnegative: bool = False) -> Any:
        _, qmin, qmax = self.steps()
        ends = code_ends(qmin, qmax, nonnegative)
        return clip_and_round(tensors, arithmetic, 1.0, ends, to_range=None, inclusive=True)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minimum": self.minimum, "maximum": self.maximum}
