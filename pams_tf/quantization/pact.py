"""PACT: a learned clip with L2 decay."""

from typing import Any

import keras

from pams_tf.quantization import functional
from pams_tf.quantization.base import AlphaQuantizer

# PACT decays alpha like the weights, by about 1e-4, where activations reach about 10. For images in
# [0, 255] they reach about 100, and the same penalty on a range ten times as large takes 1e-6.
PACT_DECAY = 1e-6


@keras.saving.register_keras_serializable("pams_tf")
class PactQuantizer(AlphaQuantizer):
    """PACT: `functional.pact` with one trainable alpha, decayed (Choi et al. 2018, Section 3).

    Input and output: float32, any shape with the samples first.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import PactQuantizer
      >>> layer = PactQuantizer(bits=2, initial_alpha=3.0, unsigned=True)
      >>> layer(np.float32([[1.2, -5.0]])).numpy().tolist(), len(layer.losses)
      ([[1.0, 0.0]], 1)

    Args:
      bits: 2 to 16.
      decay: lambda of the L2 penalty lambda * alpha**2, which is one of the layer's `losses`.
      initial_alpha: the range before any calibration; 10 in the PACT paper.
      full_range, unsigned: see `functional.pact`.
      calibration, beta: see `ActivationQuantizer`.

    Raises:
      ValueError: bits, calibration, decay or the two flags are not possible.

    Source: Choi et al. 2018, arXiv 1805.06085, Section 3.
    """

    codes_function = staticmethod(functional.pact_codes)

    def __init__(
        self,
        bits: int = 8,
        decay: float = PACT_DECAY,
        initial_alpha: float = 10.0,
        full_range: bool = False,
        unsigned: bool = False,
        **kwargs: Any,
    ) -> None:
        if not decay >= 0:
            raise ValueError(f"decay={decay!r} is not possible; give 0 or more")
        regularizer = keras.regularizers.L2(decay) if decay else None
        super().__init__(
            bits, initial_alpha, full_range, unsigned, regularizer=regularizer, **kwargs
        )
        self.decay = decay

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay}
