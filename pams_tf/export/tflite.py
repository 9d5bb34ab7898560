"""The converter: a quantized network becomes a fully integer TensorFlow Lite file."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf import models
from pams_tf.errors import InputError
from pams_tf.export import metadata
from pams_tf.export.inspection import check_alphas, check_integer
from pams_tf.models import SuperResolution
from pams_tf.models.registry import architecture
from pams_tf.models.sites import Sites
from pams_tf.quantization import PamsQuantizer, QuantConv2D, RangeQuantizer
from pams_tf.quantization.functional import levels, max_abs_range
from pams_tf.training.calibration import calibrate
from pams_tf.training.checkpoints import transfer_weights
from pams_tf.training.distillation import quantizers

INT8 = 127  # largest code of the symmetric 8-bit grid


def convert(
    model: SuperResolution,
    input_size: tuple[int, int],
    calibration: Iterable[Any] | None = None,
) -> bytes:
    """Convert a student to a fully integer TFLite file.

    Each learned alpha becomes the scale alpha / (2**(bits-1) - 1) of an int8 tensor with zero
    point 0. Image bytes p enter and leave as the int8 code p - 128 (scale 1, zero point -128).
    Weights are int8 on the recipe's grid, biases int32. No representative dataset, no other range.

    Args:
      model: a network with a recipe of at most 8 bits.
      input_size: height and width of the LR image the file takes.
      calibration: for a recipe of scope "body", LR images (N, H, W, 3) float32 in [0, 255] for
        the ranges of head and tail (see `whole_network`); not used for scope "all".

    Returns:
      The file's content, checked: only int8 and int32 tensors, only built-in operators, every
      alpha found.

    Raises:
      InputError: no recipe, more than 8 bits, batch normalization, a size that is not positive,
        or calibration images missing.
    """
    height, width = input_size
    if height < 1 or width < 1:
        raise InputError(f"input size {height}x{width} is not possible; give HEIGHTxWIDTH")
    _check_exportable(model)
    whole = whole_network(model, calibration)

    sites = IntegerSites(whole)
    parts = architecture(whole.preset, whole.scale, whole.overrides)

    @tf.function(input_signature=[tf.TensorSpec((1, height, width, 3), tf.float32, "lr")])
    def graph(image: Any) -> Any:
        output, _ = parts.connect(sites.image(image), parts.config, whole.scale, sites)
        return sites.image(output)

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    content = converter.convert()
    check_integer(content)
    check_alphas(content, {q.name: float(q.alpha) / levels(q.bits) for q in quantizers(whole)})
    return metadata.embed(content, metadata.describe(content, model, whole))


def convert_float(model: SuperResolution, input_size: tuple[int, int]) -> bytes:
    """The same network as a float32 TFLite file, quantizers and all left out, for comparison."""
    height, width = input_size
    twin = models.build(model.preset, model.scale, **model.overrides)
    transfer_weights(model, twin)

    @tf.function(input_signature=[tf.TensorSpec((1, height, width, 3), tf.float32, "lr")])
    def graph(image: Any) -> Any:
        return twin(image, training=False)

    # The converter freezes the variables it finds; in a Keras model it does not look for them.
    holder = tf.Module()
    holder.frozen = [variable.value for variable in twin.variables]
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], holder
    ).convert()


def whole_network(
    student: SuperResolution, calibration: Iterable[Any] | None = None
) -> SuperResolution:
    """The student with a quantizer at every site: what an integer file is a copy of.

    A student of scope "all" is returned as it is. For scope "body" the ranges of head and tail
    are the largest values of its own activations there; the body's alphas stay as learned.

    Raises:
      InputError: scope "body" without calibration images.
    """
    assert student.recipe is not None
    if student.recipe.scope == "all":
        return student
    if calibration is None:
        raise InputError(
            "a student of scope 'body' has no ranges for head and tail; give calibration images"
        )
    recipe = student.recipe.replace(scope="all")
    whole = models.build(student.preset, student.scale, recipe, **student.overrides)
    transfer_weights(student, whole)
    learned = {q.name for q in quantizers(student)}
    missing = [q.name for q in quantizers(whole) if q.name not in learned]
    calibrate(whole, student, calibration, only=missing)
    return whole


class IntegerSites(Sites):
    """Writes each range down as the fake quantization that the converter turns into a scale.

    Works on tensors inside a `tf.function`; every weight is a constant, read here, outside it.
    """

    def __init__(self, whole: SuperResolution) -> None:
        super().__init__(whole.recipe)
        self._grids: dict[str, tuple[float, int]] = {}
        self._constants: dict[str, _Convolution] = {}
        self._ranges: dict[str, tuple[float, float]] = {}
        self._quantized: set[Any] = set()
        self._again: dict[Any, Callable[[], Any]] = {}
        for layer in whole.layers:
            if isinstance(layer, PamsQuantizer):
                self._grids[layer.name] = (float(layer.alpha), levels(layer.bits))
            elif isinstance(layer, RangeQuantizer):
                self._ranges[layer.name] = (layer.minimum, layer.maximum)
            elif isinstance(layer, QuantConv2D):
                self._constants[layer.name] = _Convolution(
                    kernel=np.asarray(layer.quantized_kernel()),
                    bias=np.asarray(layer.bias.value),
                    step=np.asarray(max_abs_range(layer.kernel.value, layer.range_axis))
                    / levels(layer.bits),
                )

    def image(self, x: Any) -> Any:
        """Image bytes: scale 1, and 0 at code -128."""
        return tf.quantization.fake_quant_with_min_max_args(x, 0.0, 255.0)

    def activation(self, x: Any, name: str, *, edge: bool = False) -> Any:
        # A second range for a convolution's result is a second convolution, as exact as the
        # first; requantizing the first would round twice.
        if x.ref() in self._quantized and x.ref() in self._again:
            x = self._again[x.ref()]()
        self._quantized.add(x.ref())
        alpha, n = self._grids[name]
        if n < INT8:  # a coarser grid inside int8: its own codes, nothing beyond them
            x = tf.clip_by_value(x, -alpha, alpha)
        scale = alpha / n
        return tf.quantization.fake_quant_with_min_max_args(x, -(INT8 + 1) * scale, INT8 * scale)

    def convolution(
        self,
        x: Any,
        filters: int,
        kernel_size: int,
        name: str,
        *,
        edge: bool = False,
        batch_norm: bool = False,
        gain: float = 1.0,
        shift: Sequence[float] | None = None,
        relu: bool = False,
        dtype: str | None = None,
    ) -> Any:
        constants = self._constants[name]
        bias = constants.bias * gain + (0.0 if shift is None else np.asarray(shift))

        def convolve(limit: np.ndarray) -> Any:
            # The gain scales grid and kernel alike, so the codes are those that were trained.
            kernel = _weights(constants.kernel * gain, limit)
            y = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), tf.constant(bias, tf.float32))
            return tf.nn.relu(y) if relu else y

        limit = (constants.step * (gain * INT8)).astype(np.float32)
        y = convolve(limit)
        # One float32 step wider: the same codes, but the converter does not merge the two.
        self._again[y.ref()] = lambda: convolve(np.nextafter(limit, np.float32(np.inf)))
        return y

    def shifted_image(self, x: Any, shift: Sequence[float], name: str) -> Any:
        # An identity convolution: its int32 bias holds the mean to 1/127 of a grey level, where
        # an int8 constant to add would be off by up to 0.2. Zero padding comes after it, as in
        # the float network, so the head cannot take the mean into its own bias.
        kernel = _weights(np.eye(3).reshape(1, 1, 3, 3), np.ones(()))
        x = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), tf.constant(shift, tf.float32))
        return tf.quantization.fake_quant_with_min_max_args(x, *self._ranges[name])


@dataclasses.dataclass(frozen=True)
class _Convolution:
    """A trained convolution: kernel (HWIO) on its grid of step `step`, scalar or a channel's."""

    kernel: np.ndarray
    bias: np.ndarray
    step: np.ndarray


def _weights(kernel: np.ndarray, limit: np.ndarray) -> Any:
    """A constant kernel (HWIO) that the converter stores as int8 codes with scale limit / 127."""
    constant = tf.constant(kernel, tf.float32)
    limit = np.asarray(limit, np.float32).reshape(-1)
    if limit.size == 1:
        return tf.quantization.fake_quant_with_min_max_vars(
            constant, -limit[0], limit[0], narrow_range=True
        )
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(
        constant, -limit, limit, narrow_range=True
    )


def _check_exportable(model: SuperResolution) -> None:
    recipe = model.recipe
    if recipe is None:
        raise InputError(
            f"{model.preset} x{model.scale} is a float network without ranges; fine-tune a student "
            "first, or convert it to a float file"
        )
    widest = max(recipe.bits, recipe.edge_bits)
    if widest > 8:
        raise InputError(
            f"a recipe of {widest} bits cannot become an int8 file; 8 bits are the most"
        )
    if model.overrides.get("batch_norm"):
        raise InputError(
            "a network with batch normalization cannot be exported; train it without batch_norm"
        )
