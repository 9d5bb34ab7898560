"""Quantizer layers: thin owners of a range and its calibration state; one class a method."""

from typing import Any

import keras
import tensorflow as tf

from pams_tf.quantization import functional
from pams_tf.recipe import QuantizationRecipe

# Far below any activation on [0, 255], far above what float32 division loses.
SMALLEST_ALPHA = 1e-3
CALIBRATIONS = ("ema", "maximum")


@keras.saving.register_keras_serializable("pams_tf")
class Positive(keras.constraints.Constraint):
    """Keeps a range usable: no optimizer step takes it below `minimum`."""

    def __init__(self, minimum: float = SMALLEST_ALPHA) -> None:
        self.minimum = minimum

    def __call__(self, w: Any) -> Any:
        return keras.ops.maximum(w, self.minimum)

    def get_config(self) -> dict[str, Any]:
        return {"minimum": self.minimum}


class ActivationQuantizer(keras.layers.Layer):
    """An activation quantizer with a range to calibrate and, perhaps, to learn.

    Subclasses own the variable `alpha`. Code that looks for alphas looks for this type.
    Computes in float32 under every dtype policy: a grid of 8 bits is finer than bfloat16.

    Args:
      bits: 2 to 16.
      calibration: "ema", the running mean of maxima (paper, Eq. 4), which trims rare peaks and
        leaves the rest to training; or "maximum", the largest value seen, which trims nothing.
      beta: decay of the running mean.
    """

    alpha: keras.Variable

    def __init__(
        self, bits: int = 8, calibration: str = "ema", beta: float = 0.9997, **kwargs: Any
    ) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        functional.levels(bits)
        if calibration not in CALIBRATIONS:
            raise ValueError(
                f"calibration={calibration!r} is not possible; choose {' or '.join(CALIBRATIONS)}"
            )
        self.bits = bits
        self.calibration = calibration
        self.beta = beta
        self.observations = self.add_weight(
            name="observations", shape=(), dtype="int32", initializer="zeros", trainable=False
        )

    def observe(self, x: Any) -> None:
        """Let calibration see one step's activations (NHWC, the first axis are the samples)."""
        self.observe_maxima(functional.sample_maxima(x))

    def observe_maxima(self, maxima: Any) -> None:
        """One step of calibration with the samples' max|x|, (N,). State is in saved variables."""
        alpha, count = tf.convert_to_tensor(self.alpha), self.observations.value
        if self.calibration == "ema":
            observed = tf.reduce_mean(maxima)
            alpha = functional.running_maximum(alpha, observed, count, self.beta)
        else:
            observed = tf.reduce_max(maxima)
            alpha = tf.where(tf.equal(count, 0), observed, tf.maximum(alpha, observed))
        self.alpha.assign(tf.maximum(alpha, SMALLEST_ALPHA))
        self.observations.assign_add(1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["dtype"]
        return {
            **config,
            "bits": self.bits,
            "calibration": self.calibration,
            "beta": self.beta,
        }


@keras.saving.register_keras_serializable("pams_tf")
class PamsQuantizer(ActivationQuantizer):
    """Parameterized max scale: `functional.pams` with one trainable alpha (paper, Eq. 1 to 4).

    Input and output: float32, any shape with the samples first.

    Args:
      bits: 2 to 16.
      alpha_gradient, full_range: see `functional.pams`.
      initial_alpha: the range before any calibration.
      calibration, beta: see `ActivationQuantizer`.
    """

    def __init__(
        self,
        bits: int = 8,
        alpha_gradient: str = "eq3",
        initial_alpha: float = 10.0,
        full_range: bool = False,
        calibration: str = "ema",
        beta: float = 0.9997,
        **kwargs: Any,
    ) -> None:
        super().__init__(bits=bits, calibration=calibration, beta=beta, **kwargs)
        self.alpha_gradient = alpha_gradient
        self.full_range = full_range
        self.initial_alpha = initial_alpha
        self.alpha = self.add_weight(
            name="alpha",
            shape=(),
            initializer=keras.initializers.Constant(initial_alpha),
            constraint=Positive(),
        )

    def call(self, x: Any) -> Any:
        return functional.pams(x, self.alpha, self.bits, self.alpha_gradient, self.full_range)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_gradient": self.alpha_gradient,
            "initial_alpha": self.initial_alpha,
            "full_range": self.full_range,
        }


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
    recipe: QuantizationRecipe, name: str, *, edge: bool = False
) -> ActivationQuantizer:
    """The layer that the recipe puts on a tensor of the body or, with `edge`, of head or tail.

    Ranges of head and tail begin with the largest value seen: trimming the long shortcut or the
    image costs more than a coarser step does, and in a student of scope "body" nothing trains them.
    """
    bits = recipe.edge_bits if edge else recipe.bits
    settings: dict[str, Any] = {
        "bits": bits,
        "calibration": "maximum" if edge else "ema",
        "name": name,
    }
    # Nothing keeps an int8 tensor from its code -128; a network that is to be the copy of an
    # integer file has it too. Narrower grids are clipped, and the paper's scope is the paper's.
    full_range = recipe.scope == "all" and bits == 8
    makers = {
        "pams": lambda: PamsQuantizer(
            alpha_gradient=recipe.alpha_gradient, full_range=full_range, **settings
        ),
    }
    return makers[recipe.method]()
