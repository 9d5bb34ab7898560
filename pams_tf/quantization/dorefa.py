"""DoReFa: a calibrated range that is not trained."""

from typing import Any

import keras

from pams_tf.quantization import functional
from pams_tf.quantization.base import AlphaQuantizer


@keras.saving.register_keras_serializable("pams_tf")
class DorefaQuantizer(AlphaQuantizer):
    """DoReFa: `functional.dorefa_activations` with a calibrated alpha that is not trained.

    Input and output: float32, any shape with the samples first.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import DorefaQuantizer
      >>> layer = DorefaQuantizer(bits=2, initial_alpha=3.0, unsigned=True)
      >>> layer(np.float32([[1.2, -5.0]])).numpy().tolist(), len(layer.trainable_weights)
      ([[1.0, 0.0]], 0)

    Args:
      bits: 2 to 16.
      initial_alpha: the range before any calibration.
      full_range, unsigned: see `functional.dorefa_activations`.
      calibration, beta: see `ActivationQuantizer`.

    Raises:
      ValueError: bits, calibration or the two flags are not possible.

    Source: Zhou et al. 2016, arXiv 1606.06160, Eq. 5 and 11.
    """

    codes_function = staticmethod(functional.dorefa_activation_codes)

    def __init__(
        self,
        bits: int = 8,
        initial_alpha: float = 10.0,
        full_range: bool = False,
        unsigned: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(bits, initial_alpha, full_range, unsigned, learned=False, **kwargs)
