"""The paper's quantizer, a learned symmetric range, and its relative with two learned ends."""

from typing import Any

import keras

from pams_tf.quantization import functional
from pams_tf.quantization.base import AlphaQuantizer
from pams_tf.quantization.ends import EndsQuantizer


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


@keras.saving.register_keras_serializable("pams_tf")
class PamsEndsQuantizer(EndsQuantizer):
    """Two learned ends: `functional.pams_ends` with a trainable minimum and maximum.

    Input and output: float32, any shape with the samples first.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import PamsEndsQuantizer
      >>> layer = PamsEndsQuantizer(bits=2, initial_range=(-1.0, 2.0))
      >>> layer(np.float32([[-0.9, 0.4, 3.0]])).numpy().tolist()
      [[-1.0, 0.0, 2.0]]

    Args:
      bits: 2 to 16.
      alpha_gradient: see `functional.pams_ends`.
      initial_range: see `EndsQuantizer`.
      calibration, beta, ceiling: see `ActivationQuantizer`; the rule applies to each end.

    Raises:
      ValueError: bits, calibration, alpha_gradient or initial_range is not possible.

    Source: two learned bounds as in DDTB (Zhong et al., ECCV 2022, arXiv 2203.03844).
    """

    def __init__(
        self,
        bits: int = 8,
        alpha_gradient: str = "eq3",
        initial_range: tuple[float, float] = (-10.0, 10.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(bits, initial_range, learned=True, **kwargs)
        self.alpha_gradient = alpha_gradient

    def codes(self, tensors: Any, arithmetic: Any, **settings: Any) -> Any:
        return functional.pams_ends_codes(
            tensors,
            arithmetic,
            self.minimum.value,
            self.maximum.value,
            self.bits,
            alpha_gradient=self.alpha_gradient,
            **settings,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha_gradient": self.alpha_gradient}
