"""Base classes of the activation quantizers: a range and the state of its calibration."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.grid import qrange, signed_qmax
from pams_tf.quantization import functional
from pams_tf.quantization.arriving import Arriving
from pams_tf.quantization.functional.grids import fake_quantized
from pams_tf.quantization.functional.stored import divided

# Far below any activation of images in [0, 255], far above where float32 division loses precision.
SMALLEST_ALPHA = 1e-3
CALIBRATIONS = ("ema", "maximum")


@keras.saving.register_keras_serializable("pams_tf")
class Positive(keras.constraints.Constraint):
    """Keeps a range usable: no optimizer step can take it below `minimum` or above `maximum`."""

    def __init__(self, minimum: float = SMALLEST_ALPHA, maximum: float | None = None) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def __call__(self, w: Any) -> Any:
        w = keras.ops.maximum(w, self.minimum)
        return w if self.maximum is None else keras.ops.minimum(w, self.maximum)

    def get_config(self) -> dict[str, Any]:
        return {"minimum": self.minimum, "maximum": self.maximum}


@dataclasses.dataclass(frozen=True)
class CodeGrid:
    """The values a quantizer can produce: scale * code for each code from qmin to qmax.

    Example:
      >>> from pams_tf.quantization import RangeQuantizer
      >>> RangeQuantizer(0.0, 255.0).grid
      CodeGrid(scale=1.0, qmin=0, qmax=255)

    Attributes:
      scale: step of the grid, above 0, in the unit of the activations.
      qmin, qmax: the smallest and the largest code; the zero point is subtracted.

    Source: Jacob et al. 2018, arXiv 1712.05877, Eq. 1.
    """

    scale: float
    qmin: int
    qmax: int


class Quantizer(keras.layers.Layer):
    """Base class of all quantizers of activations: a grid, and the codes of what arrives.

    Computes in float32 under every dtype policy, because an 8-bit grid is finer than bfloat16.

    Attributes:
      follows: whether the range follows the activations in training instead of being learned.
    """

    follows = False

    def __init__(self, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)

    def steps(self) -> tuple[Any, Any, Any]:
        """(scale, qmin, qmax) of the current range: a float64 tensor, and numbers or tensors."""
        raise NotImplementedError

    @property
    def reach(self) -> int:
        """The largest magnitude that a code can have, whatever the range."""
        _, qmin, qmax = self.steps()
        return max(-qmin, qmax)

    @property
    def grid(self) -> CodeGrid:
        """The codes and their scale, for the current range."""
        scale, qmin, qmax = self.steps()
        return CodeGrid(float(scale), int(qmin), int(qmax))

    def call(self, x: Any, arriving: Arriving | None = None, training: bool = False) -> Any:
        """Quantize float values, or with `arriving` what an operator makes of codes.

        Args:
          x: float32 values; with `arriving`, the list of tensors that its arithmetic takes.
          arriving: the operator in front, and the scales that it computes with.
          training: whether ranges that follow the activations move.

        Returns:
          float32 values on the grid; with `arriving`, their codes, see `functional.codes`.
        """
        if arriving is None:
            if training and self.follows:
                self.observe_training(x)
            scale = tf.cast(self.steps()[0], tf.float32)
            return fake_quantized(self.codes, x, scale)
        if training and self.follows:
            self.observe_training(arriving.values(x, training))
        arithmetic = arriving.arithmetic(training)
        return self.codes(x, arithmetic, nonnegative=arriving.nonnegative)

    def codes(self, tensors: Any, arithmetic: Any, *, nonnegative: bool = False) -> Any:
        """The codes of what the arithmetic makes of the tensors, with the method's gradients."""
        raise NotImplementedError

    def observe_training(self, values: Any) -> None:
        """Move the range towards the values of a training step; for methods that follow them."""
        raise NotImplementedError

    def compute_output_spec(
        self, x: Any, arriving: Arriving | None = None, training: bool = False
    ) -> Any:
        shape = x.shape if arriving is None else (*x[0].shape[:-1], arriving.channels)
        return keras.KerasTensor(shape, "float32")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["dtype"]
        return config


class ActivationQuantizer(Quantizer):
    """Base class: an activation quantizer whose range is calibrated and possibly learned.

    Subclasses own the range. Code that looks for ranges looks for this type. Input and output are
    float32, any shape with the samples first.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import ActivationQuantizer, PamsQuantizer
      >>> layer = PamsQuantizer(bits=8)
      >>> isinstance(layer, ActivationQuantizer), layer.calibrated
      (True, False)
      >>> layer.observe(np.float32([[1.0, -3.0], [5.0, 2.0]]))  # two samples
      >>> layer.calibrated, layer.range
      (True, {'alpha': 4.0})

    Args:
      bits: 2 to 16.
      calibration: "ema", the running mean of the extremes (paper, Eq. 4), which trims rare peaks
        and leaves the rest to training; or "maximum", the largest value seen, which trims nothing.
      beta: decay of the running mean.
      ceiling: no range reaches beyond it, because the network clips there; None for no such end.

    Raises:
      ValueError: bits or calibration is not possible.

    Source: Li et al., ECCV 2020, Eq. 4.
    """

    def __init__(
        self,
        bits: int = 8,
        calibration: str = "ema",
        beta: float = 0.9997,
        ceiling: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        signed_qmax(bits)
        if calibration not in CALIBRATIONS:
            raise ValueError(
                f"calibration={calibration!r} is not possible; choose {' or '.join(CALIBRATIONS)}"
            )
        self.bits = bits
        self.calibration = calibration
        self.beta = beta
        self.ceiling = ceiling
        self.observations = self.add_weight(
            name="observations", shape=(), dtype="int32", initializer="zeros", trainable=False
        )

    @property
    def alpha(self) -> Any:
        """The largest magnitude of the range: a float32 scalar, or the variable that holds it."""
        raise NotImplementedError

    @property
    def range(self) -> dict[str, float]:
        """The numbers that define the range, by name; `alpha` is always one of them."""
        return {"alpha": number(self.alpha)}

    @property
    def calibrated(self) -> bool:
        """Whether the range is no longer the placeholder that it was built with."""
        return number(self.observations) > 0 or self.range != self._initial_range

    @property
    def _initial_range(self) -> dict[str, float]:
        """The value of `range` before anything has set it."""
        raise NotImplementedError

    def restore_range(self, numbers: Mapping[str, Any]) -> None:
        """Set the range to an earlier value of `range`; other keys are ignored.

        Raises:
          KeyError, TypeError, ValueError: a number is missing or is not a number.
        """
        raise NotImplementedError

    def set_range(self, alpha: float) -> None:
        """Set the range to reach `alpha` in each direction in which it extends."""
        raise NotImplementedError

    def observe(self, x: Any) -> None:
        """Run one calibration step on activations (NHWC; the first axis is the samples)."""
        self.observe_ranges(*functional.sample_ranges(x))

    def observe_ranges(self, minima: Any, maxima: Any) -> None:
        """Run one calibration step on per-sample extremes, (N,) each; its state is in variables."""
        if self.ceiling is not None:
            minima, maxima = tf.maximum(minima, -self.ceiling), tf.minimum(maxima, self.ceiling)
        self._adapt(minima, maxima)
        self.observations.assign_add(1)

    def fit_range(self, seen: functional.Histogram) -> None:
        """Set the range to that with the smallest error on the values of a histogram.

        A histogram of values within `ceiling` gives a range within it.
        """
        raise NotImplementedError

    def _adapt(self, minima: Any, maxima: Any) -> None:
        raise NotImplementedError

    def _calibrated(self, previous: Any, extremes: Any) -> Any:
        """Apply the calibration rule to one end: its value so far and the sample extremes (N,)."""
        count = self.observations.value
        if self.calibration == "ema":
            observed = tf.reduce_mean(extremes)
            return functional.running_maximum(previous, observed, count, self.beta)
        observed = tf.reduce_max(extremes)
        return tf.where(tf.equal(count, 0), observed, tf.maximum(previous, observed))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bits": self.bits,
            "calibration": self.calibration,
            "beta": self.beta,
            "ceiling": self.ceiling,
        }


class AlphaQuantizer(ActivationQuantizer):
    """A quantizer with the scale alpha / qmax: [-alpha, alpha], or [0, alpha] after a ReLU.

    Args:
      bits: 2 to 16.
      initial_alpha: the range before any calibration.
      full_range, unsigned: see `grid.qrange`.
      regularizer: regularizer of alpha, which a training loop adds to its loss; None for none.
      learned: whether training updates alpha.
      calibration, beta: see `ActivationQuantizer`.

    Attributes:
      codes_function: the method, for example `functional.pams_codes`.
    """

    codes_function: Callable[..., Any]

    def __init__(
        self,
        bits: int,
        initial_alpha: float,
        full_range: bool,
        unsigned: bool,
        *,
        learned: bool = True,
        regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(bits=bits, **kwargs)
        qrange(bits, unsigned=unsigned, full_range=full_range)
        self.full_range = full_range
        self.unsigned = unsigned
        self.initial_alpha = initial_alpha
        self._alpha = self.add_weight(
            name="alpha",
            shape=(),
            initializer=keras.initializers.Constant(initial_alpha),
            constraint=Positive(maximum=self.ceiling),
            regularizer=regularizer,
            trainable=learned,
        )

    @property
    def alpha(self) -> keras.Variable:
        return self._alpha

    def steps(self) -> tuple[Any, Any, Any]:
        qmin, qmax = qrange(self.bits, unsigned=self.unsigned, full_range=self.full_range)
        return divided(tf.cast(self.alpha.value, tf.float64), qmax), qmin, qmax

    def codes(self, tensors: Any, arithmetic: Any, **settings: Any) -> Any:
        return self.codes_function(
            tensors,
            arithmetic,
            self.alpha,
            self.bits,
            unsigned=self.unsigned,
            full_range=self.full_range,
            **settings,
        )

    @property
    def _initial_range(self) -> dict[str, float]:
        return {"alpha": float(np.float32(self.initial_alpha))}

    def restore_range(self, numbers: Mapping[str, Any]) -> None:
        self.alpha.assign(float(numbers["alpha"]))

    def set_range(self, alpha: float) -> None:
        self.alpha.assign(max(alpha, SMALLEST_ALPHA))

    def fit_range(self, seen: functional.Histogram) -> None:
        qmin, qmax = qrange(self.bits, unsigned=self.unsigned, full_range=self.full_range)
        self.set_range(functional.best_alpha(seen, qmin, qmax))
        self.observations.assign_add(1)

    def _adapt(self, minima: Any, maxima: Any) -> None:
        alpha = self._calibrated(tf.convert_to_tensor(self.alpha), tf.maximum(maxima, -minima))
        self.alpha.assign(tf.maximum(alpha, SMALLEST_ALPHA))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_alpha": self.initial_alpha,
            "full_range": self.full_range,
            "unsigned": self.unsigned,
        }


def number(scalar: Any) -> float:
    """The value of a scalar tensor or variable, also of one that is mirrored on several devices."""
    return float(keras.ops.convert_to_numpy(scalar))


def quantizers(model: keras.Model) -> list[ActivationQuantizer]:
    """The activation quantizers of a network, in data-flow order.

    Example:
      >>> import pams_tf
      >>> from pams_tf import models, quantization
      >>> network = models.build("edsr_nano", 2, pams_tf.QuantizationRecipe(), blocks=1)
      >>> [quantizer.name for quantizer in quantization.quantizers(network)]
      ['block_0_input', 'block_0_relu', 'block_0_residual']

    Args:
      model: a student, or any other Keras model.

    Returns:
      The layers; none for a float network. Set their ranges with `calibrate` or `set_range`.

    Source: the order of `keras.Model.layers`.
    """
    return [layer for layer in model.layers if isinstance(layer, ActivationQuantizer)]
