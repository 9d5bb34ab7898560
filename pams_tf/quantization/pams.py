"""The paper's quantizer: a learned symmetric range."""

from typing import Any

import keras

from pams_tf.quantization import functional
from pams_tf.quantization.base import AlphaQuantizer


@keras.saving.register_keras_serializable("pams_tf")
class PamsQuantizer(AlphaQuantizer):
    """Parameterized max scale: `functional.pams` with one trainable alpha (paper, Eq. 1 to 4).

    Input and output: float32, any shape with the samples first.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import PamsQuantizer
      >>> layer = PamsQuantizer(bits=2, initial_alpha=1.0)
      >>> layer(np.float32([[0.3, -2.0]])).numpy().tolist(), len(layer.trainable_weights)
      ([[0.0, -1.0]], 1)

    Args:
      bits: 2 to 16.
      alpha_gradient, full_range, unsigned: see `functional.pams`.
      initial_alpha: the range before any calibration.
      calibration, beta: see `ActivationQuantizer`.

    Raises:
      ValueError: bits, calibration or the two flags are not possible.

    Source: Li et al., ECCV 2020, Eq. 1 to 4.
    """

    codes_function = staticmethod(functional.pams_codes)

    def __init__(
        self,
        bits: int = 8,
        alpha_gradient: str = "eq3",
        initial_alpha: float = 10.0,
        full_range: bool = False,
        unsigned: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(bits, initial_alpha, full_range, unsigned, **kwargs)
        self.alpha_gradient = alpha_gradient

    def codes(self, tensors: Any, arithmetic: Any, **settings: Any) -> Any:
        return super().codes(tensors, arithmetic, alpha_gradient=self.alpha_gradient, **settings)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha_gradient": self.alpha_gradient}
