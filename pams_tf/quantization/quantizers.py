"""Quantizer layers, thin owners of a range: one class a method, and the recipe's choice."""

from typing import Any

import keras
import tensorflow as tf

from pams_tf.quantization import functional
from pams_tf.quantization.base import ActivationQuantizer, AlphaQuantizer
from pams_tf.quantization.min_max import MinMaxQuantizer
from pams_tf.recipe import QuantizationRecipe

# PACT decays alpha as it does weights, by some 1e-4, where activations reach to about ten. On
# [0, 255] they reach to a hundred, so the same pull on a range ten times as large is 1e-6.
PACT_DECAY = 1e-6


@keras.saving.register_keras_serializable("pams_tf")
class PamsQuantizer(AlphaQuantizer):
    """Parameterized max scale: `functional.pams` with one trainable alpha (paper, Eq. 1 to 4).

    Input and output: float32, any shape with the samples first.

    Args:
      bits: 2 to 16.
      alpha_gradient, full_range, unsigned: see `functional.pams`.
      initial_alpha: the range before any calibration.
      calibration, beta: see `ActivationQuantizer`.
    """

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

    def call(self, x: Any) -> Any:
        return functional.pams(
            x, self.alpha, self.bits, self.alpha_gradient, self.full_range, self.unsigned
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha_gradient": self.alpha_gradient}


@keras.saving.register_keras_serializable("pams_tf")
class PactQuantizer(AlphaQuantizer):
    """PACT: `functional.pact` with one trainable alpha, decayed (Choi et al. 2018, Section 3).

    Input and output: float32, any shape with the samples first.

    Args:
      bits: 2 to 16.
      decay: lambda of the L2 regularization, lambda * alpha**2; it is in the layer's `losses`.
      initial_alpha: the range before any calibration; PACT's own is 10.
      full_range, unsigned: see `functional.pact`.
      calibration, beta: see `ActivationQuantizer`.
    """

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

    def call(self, x: Any) -> Any:
        return functional.pact(x, self.alpha, self.bits, self.unsigned, self.full_range)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay}


@keras.saving.register_keras_serializable("pams_tf")
class DorefaQuantizer(AlphaQuantizer):
    """DoReFa: `functional.dorefa_activations` with the calibrated alpha, which nothing trains.

    Input and output: float32, any shape with the samples first.

    Args:
      bits: 2 to 16.
      initial_alpha: the range before any calibration.
      full_range, unsigned: see `functional.dorefa_activations`.
      calibration, beta: see `ActivationQuantizer`.
    """

    def __init__(
        self,
        bits: int = 8,
        initial_alpha: float = 10.0,
        full_range: bool = False,
        unsigned: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(bits, initial_alpha, full_range, unsigned, learned=False, **kwargs)

    def call(self, x: Any) -> Any:
        return functional.dorefa_activations(
            x, self.alpha, self.bits, self.unsigned, self.full_range
        )


@keras.saving.register_keras_serializable("pams_tf")
class RangeQuantizer(keras.layers.Layer):
    """The 8-bit grid of a range that is known, such as an image's: nothing to learn.

    The grid of TensorFlow's fake quantization, zero included exactly, so that the same two
    numbers written into an integer file mean the same codes.

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


def activation_quantizer(
    recipe: QuantizationRecipe, name: str, *, edge: bool = False, signed: bool = True
) -> ActivationQuantizer:
    """The layer that the recipe puts on a tensor of the body or, with `edge`, of head or tail.

    Ranges of head and tail begin with the largest value seen: trimming the long shortcut or the
    image costs more than a coarser step does, and in a student of scope "body" nothing trains them.
    A tensor that is not `signed` lies behind a ReLU: PACT and DoReFa give it all codes from 0 to
    alpha, and so does PAMS if the recipe says `unsigned`.
    """
    bits = recipe.edge_bits if edge else recipe.bits
    settings: dict[str, Any] = {
        "bits": bits,
        "calibration": "maximum" if edge else "ema",
        "name": name,
    }
    if recipe.method == "tflite":
        return MinMaxQuantizer(initial_range=(-10.0 if signed else 0.0, 10.0), **settings)
    settings["unsigned"] = not signed and (recipe.unsigned or recipe.method != "pams")
    # Nothing keeps an int8 tensor from its code -128; a network that is to be the copy of an
    # integer file has it too. Narrower grids are clipped, and the paper's scope is the paper's.
    settings["full_range"] = recipe.scope == "all" and bits == 8 and not settings["unsigned"]
    makers = {
        "pams": lambda: PamsQuantizer(alpha_gradient=recipe.alpha_gradient, **settings),
        "pact": lambda: PactQuantizer(**settings),
        "dorefa": lambda: DorefaQuantizer(**settings),
    }
    return makers[recipe.method]()


def weight_quantizer(recipe: QuantizationRecipe, *, edge: bool = False) -> str:
    """Which of `convolution.WEIGHTS` quantizes the kernels of the body or of head and tail.

    The paper's Table 2 compares methods in the body. Head and tail, which it leaves in float, have
    `max_abs` under every method: 8 bits of DoReFa's have no int8 codes.
    """
    return "dorefa" if recipe.method == "dorefa" and not edge else "max_abs"
