"""The tensors of a student as its builder passes them on: codes, and results of operators on codes.

An operator does not compute until the site behind it is known, because an integer file brings the
result of an operator to the grid of that site in one step.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from pams_tf.grid import signed_qmax
from pams_tf.models.folding import batch_normalization
from pams_tf.quantization import QuantConv2D, RangeQuantizer
from pams_tf.quantization.arriving import Arriving, Readable
from pams_tf.quantization.base import Quantizer
from pams_tf.quantization.functional import builtin, stored, xnnpack
from pams_tf.quantization.functional.codes import (
    Arithmetic,
    as_values,
    bias_codes,
    of_one,
    rectified,
    rounding,
)
from pams_tf.quantization.held import ONE, ClippingUnit, FixedUnit, Held, Scalar, Unit

SHIFT_STEPS = 127
"""A file holds the shift of an image in steps of 1/127: weight code 127, image scale 1."""


def in_steps(shift: Sequence[float]) -> list[float]:
    """A shift in whole steps: half a step could go either way in the converter."""
    return [round(value * SHIFT_STEPS) / SHIFT_STEPS for value in shift]


class Values(keras.layers.Layer):
    """The float values of codes or of an operator's result, with the gradient of values."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)

    def call(self, tensors: Sequence[Any], arriving: Readable, training: bool = False) -> Any:
        return arriving.values(tensors, training)

    def compute_output_spec(
        self, tensors: Sequence[Any], arriving: Readable, training: bool = False
    ) -> Any:
        return keras.KerasTensor((*tensors[0].shape[:-1], arriving.channels), "float32")


class Same(keras.layers.Layer):
    """Codes as they are, for values that are larger by a factor: the gradient is, too."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)

    def call(self, codes: Any, factor: float) -> Any:
        @tf.custom_gradient
        def same(codes: Any) -> Any:
            return tf.identity(codes), lambda upstream: upstream * factor

        return same(codes)

    def compute_output_spec(self, codes: Any, factor: float) -> Any:
        return keras.KerasTensor(codes.shape, "float32")


class Tensor:
    """What a builder passes from one call to the next, in a network whose tensors are codes.

    Attributes:
      channels: number of channels.
    """

    channels: int

    @property
    def values(self) -> Any:
        """The float values as a Keras tensor (N, H, W, C), for whatever computes in float."""
        raise NotImplementedError

    def as_image(self, gain: float = 1.0) -> Any:
        """The Keras tensor of values times `gain`, in [0, 255]; rounded, the bytes of a file."""
        raise NotImplementedError


class Coded(Tensor):
    """The tensor of a site.

    Attributes:
      codes: Keras tensor (N, H, W, C).
      held: its grid.
      arriving: how the codes are computed; None for the network's input.
    """

    def __init__(self, codes: Any, held: Held, arriving: Arriving | None = None) -> None:
        self.codes = codes
        self.held = held
        self.arriving = arriving
        self.channels = codes.shape[-1]
        self.conversions = itertools.count()

    @functools.cached_property
    def values(self) -> Any:
        return Values()([self.codes], arriving=_ConvertedAt(self, None, 0))

    def as_image(self, gain: float = 1.0) -> Any:
        return Converted(self).as_image(gain)

    def moved(self, layer: keras.layers.Layer) -> "Coded":
        """The same codes in another arrangement."""
        return Coded(layer(self.codes), self.held, self.arriving)

    def rescaled(self, factor: float) -> "Coded":
        """The same codes as values that are `factor` times as large."""
        return Coded(Same()(self.codes, factor=factor), self.held.rescaled(factor), self.arriving)


class _Image:
    """An operator's result as an image: steps of 1, before rounding if `round` will do the rest."""

    def __init__(self, arriving: Arriving, exact: bool, gain: float) -> None:
        self.channels = arriving.channels
        self._arriving = arriving
        self._exact = exact
        self._gain = gain

    def values(self, tensors: Sequence[Any], training: bool) -> Any:
        compute = self._arriving.arithmetic(training)
        if self._arriving.nonnegative:
            compute = rectified(compute)

        @tf.custom_gradient
        def image(*tensors: Any) -> Any:
            steps, backward = compute(*tensors)
            image = steps.exact if self._exact else steps.whole
            return image, lambda upstream: backward(upstream * self._gain)

        return image(*tensors)


class Result(Tensor):
    """The result of an operator before a site.

    Attributes:
      bound: where the operator itself can clip in a file; None if it cannot.
      rounds_half_to_even: whether a file rounds its result so, as `round` does.
    """

    bound: float | None = None
    rounds_half_to_even = False

    def at(self, held: Held | None) -> tuple[list[Any], Arriving]:
        """The Keras tensors, and how they become steps of the site `held`; None for values."""
        raise NotImplementedError

    @functools.cached_property
    def values(self) -> Any:
        tensors, arriving = self.at(None)
        return Values()(tensors, arriving=arriving)

    def as_image(self, gain: float = 1.0) -> Any:
        held = Held(RangeQuantizer(0, 255), FixedUnit(gain), factor=1 / gain, copy=self.next_copy())
        tensors, arriving = self.at(held)
        return Values()(tensors, arriving=_Image(arriving, self.rounds_half_to_even, gain))

    def held_by(self, quantizer: Quantizer, clips: bool, unit: Unit | None) -> Held:
        """How a file holds the result at a site with that quantizer.

        Args:
          quantizer, clips: see `Held`.
          unit: the unit, unless the operator can clip in one of its own; None for unit 1 whatever
            the operator can.
        """
        if unit is None:
            unit = ONE
        elif clips and self.bound is not None:
            unit = ClippingUnit(quantizer, self.bound)
        return Held(quantizer, unit, clips=clips, copy=self.next_copy())

    def next_copy(self) -> int:
        """The number of the site that holds the result: 0 for the first."""
        return 0


class Convolved(Result):
    """conv -> [batch normalization] -> [* gain] -> [+ shift] -> [ReLU] of codes.

    Args:
      layer: the convolution.
      source: its image.
      gain, shift: constants folded into it.
      relu: whether a ReLU follows.
      norm: the batch normalization behind it. In training it uses the statistics of the batch, so
        nothing is folded then, and the site behind it quantizes float values.
      floating: the layers that compute those values: `norm`, and what gain and shift do.

    Attributes:
      storage_bits: bits of the type in which a file stores the kernel, 8 or 4.
      sites: the sites that read it.
    """

    def __init__(
        self,
        layer: QuantConv2D,
        source: Coded,
        *,
        gain: float = 1.0,
        shift: Sequence[float] | None = None,
        relu: bool = False,
        norm: keras.layers.BatchNormalization | None = None,
        floating: Sequence[keras.layers.Layer] = (),
    ) -> None:
        self.layer = layer
        self.source = source
        self.gain = gain
        self.shift = shift
        self.relu = relu
        self.norm = norm
        self.floating = floating
        self.channels = layer.filters
        self.bound = 6.0 if relu else 1.0
        self.storage_bits = 8
        self.sites: list[ConvolvedAt] = []
        self._copies = itertools.count()

    rounds_half_to_even = True

    def next_copy(self) -> int:
        return next(self._copies)

    def at(self, held: Held | None) -> tuple[list[Any], Arriving]:
        site = ConvolvedAt(self, held)
        if held is not None:
            self.sites.append(site)
        tensors = [self.layer(self.source.codes, accumulator=site)]
        if self.norm is not None:
            x = Values()(tensors, arriving=_Sums(site))
            for layer in self.floating:
                x = layer(x)
            tensors.append(x)
        return tensors, site


class ConvolvedAt:
    """A convolution at one site: the scales with which a file computes it there."""

    def __init__(self, result: Convolved, held: Held | None) -> None:
        self.result = result
        self.held = held
        self.channels = result.channels
        self.nonnegative = result.relu
        self.reach = result.source.held.quantizer.reach

    def folded(self, training: bool) -> tuple[Any, Any]:
        factor, offset = ONE(), tf.constant(0.0, tf.float64)
        norm = self.result.norm
        if norm is not None:
            if training:
                return factor, offset
            factor, offset = batch_normalization(norm)
        gain = tf.constant(self.result.gain, tf.float64)
        shift = 0.0 if self.result.shift is None else tf.constant(self.result.shift, tf.float64)
        return factor * gain, offset * gain + shift

    def file_units(self) -> tuple[float, float]:
        """The units of image and result in a file that is made now."""
        return float(self.result.source.held.unit()), float(self._unit)

    def in_file(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a file stores: kernel codes (H, W, I, O), bias codes (O,), scale of the kernel."""
        factor, offset = self.folded(training=False)
        layer = self.result.layer
        signs = np.sign(np.asarray(factor))
        kernel = np.rint(np.asarray(layer.quantized_kernel()) / np.asarray(layer.step())) * signs
        bias = tf.cast(layer.bias.value, tf.float64) * factor + offset
        codes = bias_codes(bias, self.unit(training=False))
        scale = np.asarray(self.kernel_scale())
        return kernel.astype(np.int32), np.asarray(codes), scale

    def unit(self, training: bool) -> Any:
        return stored.accumulator_unit(self.kernel_scale(training), self._image, self._unit)

    def image_scale(self) -> Any:
        return tf.cast(self.result.source.held.scale(), tf.float32)

    def ratio(self) -> Any:
        assert self.held is not None
        return tf.reduce_max(self._multiplier(self.held.file_scale()))

    def _requantization(self) -> Arithmetic:
        assert self.held is not None
        result = self.held.file_scale()
        if self.result.storage_bits == 8:
            return xnnpack.requantization(self._multiplier(result))
        scales = (tf.cast(x, tf.float64) for x in (self._image, self.kernel_scale(), result))
        return builtin.requantization(xnnpack.requantization_multiplier(*scales))

    def kernel_scale(self, training: bool = False) -> Any:
        """The scale of the kernel in the file: float32, a scalar or (O,)."""
        qmax = signed_qmax(self.result.storage_bits)
        factor, _ = self.folded(training)
        step = self.result.layer.folded_step(factor)
        step = tf.reshape(step, step.shape[-1:])
        copy = 0 if self.held is None else self.held.copy
        ratio = self._unit / self.result.source.held.unit()
        return stored.stored_scale(stored.stored_limit(step, ratio, copy, qmax), qmax)

    def arithmetic(self, training: bool) -> Arithmetic:
        assert self.held is not None
        if self.result.norm is not None and training:
            scale = tf.cast(self.held.scale(), tf.float32)
            return of_one(rounding(scale), 1)
        return of_one(self._requantization(), 0)

    def values(self, tensors: Sequence[Any], training: bool) -> Any:
        if self.result.norm is not None and training:
            values = tensors[1]
        else:
            values = self.of_sums(tensors[0], training)
        return tf.nn.relu(values) if self.nonnegative else values

    def of_sums(self, sums: Any, training: bool) -> Any:
        """Values of the sums, before the ReLU."""
        multiplier = self._multiplier(tf.constant(1.0), training)
        if self.held is not None:
            multiplier /= tf.cast(self._unit, tf.float32)
        return as_values(sums, values=lambda sums: sums * multiplier)

    @property
    def _unit(self) -> Scalar:
        return ONE() if self.held is None else self.held.unit()

    @property
    def _image(self) -> Any:
        return self.result.source.held.file_scale()

    def _multiplier(self, result: Any, training: bool = False) -> Any:
        return xnnpack.requantization_multiplier(self._image, self.kernel_scale(training), result)


class _Sums:
    """The values that a batch normalization normalizes."""

    def __init__(self, site: ConvolvedAt) -> None:
        self.channels = site.channels
        self._site = site

    def values(self, tensors: Sequence[Any], training: bool) -> Any:
        return self._site.of_sums(tensors[0], training)


class Added(Result):
    """The sum of two tensors of codes; a file has both in the unit of the first."""

    def __init__(self, first: Coded, second: Coded, *, relu: bool = False) -> None:
        self.terms = first, second
        self.relu = relu
        self.channels = max(first.channels, second.channels)
        self.bound = 6.0 if relu else 1.0

    def held_by(self, quantizer: Quantizer, clips: bool, unit: Unit | None) -> Held:
        return super().held_by(quantizer, clips, unit and self.terms[0].held.unit)

    def at(self, held: Held | None) -> tuple[list[Any], Arriving]:
        return [term.codes for term in self.terms], _AddedAt(self, held)


class _AddedAt:
    def __init__(self, result: Added, held: Held | None) -> None:
        self.channels = result.channels
        self.nonnegative = result.relu
        self._terms = result.terms
        self._held = held

    def arithmetic(self, training: bool) -> Arithmetic:
        assert self._held is not None
        first, second = self._scales()
        return xnnpack.addition(first, second, self._held.file_scale())

    def ratio(self) -> Any:
        assert self._held is not None
        return tf.reduce_max(tf.stack(self._scales()) / self._held.file_scale())

    def _scales(self) -> list[Any]:
        assert self._held is not None
        unit = self._held.unit()
        return [term.held.file_scale(unit) for term in self._terms]

    def values(self, tensors: Sequence[Any], training: bool) -> Any:
        first, second = (tf.cast(term.held.scale(), tf.float32) for term in self._terms)
        total = as_values(*tensors, values=lambda a, b: a * first + b * second)
        return tf.nn.relu(total) if self.nonnegative else total


class Converted(Result):
    """The tensor of a site that is brought to the grid of another one."""

    def __init__(self, source: Coded) -> None:
        self.source = source
        self.channels = source.channels
        self._copy = next(source.conversions)

    def at(self, held: Held | None) -> tuple[list[Any], Arriving]:
        return [self.source.codes], _ConvertedAt(self.source, held, self._copy)


class _ConvertedAt:
    nonnegative = False

    def __init__(self, source: Coded, held: Held | None, copy: int) -> None:
        self.channels = source.channels
        self._copy = copy
        self._source = source.held
        self._held = held

    def arithmetic(self, training: bool) -> Arithmetic:
        assert self._held is not None
        source, result = self._source, self._held.file_scale()
        if source.unit == self._held.unit:
            return xnnpack.conversion(source.file_scale(), result)
        # A file brings it to the other unit by a MUL, which requantizes too.
        ratio = tf.cast(self._held.unit() / source.unit(), tf.float32)
        factor = stored.wider(ratio, self._copy + 1)
        return xnnpack.requantization(
            xnnpack.requantization_multiplier(source.file_scale(), factor, result)
        )

    def ratio(self) -> Any:
        assert self._held is not None
        return self._source.file_scale(ONE()) / self._held.file_scale(ONE())

    def values(self, tensors: Sequence[Any], training: bool) -> Any:
        scale = tf.cast(self._source.scale(), tf.float32)
        return as_values(*tensors, values=lambda codes: codes * scale)


class Concatenated(Result):
    """Tensors concatenated along the channels: every part is brought to the grid of the result."""

    def __init__(self, parts: Sequence[Tensor]) -> None:
        self.parts = [
            Converted(part) if isinstance(part, Coded) else cast(Result, part) for part in parts
        ]
        self.channels = sum(part.channels for part in parts)

    def at(self, held: Held | None) -> tuple[list[Any], Arriving]:
        placed = [part.at(held) for part in self.parts]
        site = _ConcatenatedAt([(len(tensors), arriving) for tensors, arriving in placed])
        return [tensor for tensors, _ in placed for tensor in tensors], site


class _ConcatenatedAt:
    nonnegative = False

    def __init__(self, parts: Sequence[tuple[int, Arriving]]) -> None:
        self.channels = sum(part.channels for _, part in parts)
        self._counts = [count for count, _ in parts]
        self._parts = [part for _, part in parts]

    def arithmetic(self, training: bool) -> Arithmetic:
        return xnnpack.concatenation(
            [
                rectified(part.arithmetic(training))
                if part.nonnegative
                else part.arithmetic(training)
                for part in self._parts
            ],
            self._counts,
            [part.channels for part in self._parts],
        )

    def ratio(self) -> Any:
        return tf.reduce_max(tf.stack([part.ratio() for part in self._parts]))

    def values(self, tensors: Sequence[Any], training: bool) -> Any:
        waiting = iter(tensors)
        return tf.concat(
            [
                part.values(list(itertools.islice(waiting, count)), training)
                for count, part in zip(self._counts, self._parts, strict=True)
            ],
            axis=-1,
        )


class Floating(Result):
    """Float values in front of the first quantizer."""

    def __init__(self, x: Any) -> None:
        self.channels = x.shape[-1]
        self._x = x

    def at(self, held: Held | None) -> tuple[list[Any], Arriving]:
        return [self._x], _FloatingAt(self.channels, held)


class _FloatingAt:
    nonnegative = False

    def __init__(self, channels: int, held: Held | None) -> None:
        self.channels = channels
        self._held = held

    def arithmetic(self, training: bool) -> Arithmetic:
        assert self._held is not None
        return rounding(tf.cast(self._held.scale(), tf.float32))

    def ratio(self) -> Any:
        return 0.0

    def values(self, tensors: Sequence[Any], training: bool) -> Any:
        return tf.cast(tensors[0], tf.float32)


class ShiftedImage(Result):
    """The image plus a constant per channel: in a file, a convolution with the code 127 for 1.

    Its int32 bias stores the constant to 1/127 of a grey level; an int8 constant to add would be
    off by up to 0.2.
    """

    def __init__(self, image: Coded, shift: Sequence[float]) -> None:
        self.channels = image.channels
        self.source = image
        self.shift = shift

    def held_by(self, quantizer: Quantizer, clips: bool, unit: Unit | None) -> Held:
        return Held(quantizer, clips=clips)

    def at(self, held: Held | None) -> tuple[list[Any], Arriving]:
        return [self.source.codes], _ShiftedAt(self, held)


class _ShiftedAt:
    nonnegative = False

    def __init__(self, result: ShiftedImage, held: Held | None) -> None:
        self.channels = result.channels
        self._image = result.source.held
        self._shift = result.shift
        self._held = held

    def arithmetic(self, training: bool) -> Arithmetic:
        assert self._held is not None
        kernel = stored.stored_scale(stored.stored_limit(ONE() / SHIFT_STEPS, ONE(), 0))
        image = self._image.file_scale()
        bias = self.bias()
        requantized = xnnpack.requantization(
            xnnpack.requantization_multiplier(image, kernel, self._held.file_scale())
        )
        return lambda x: requantized(x * SHIFT_STEPS + bias)

    def ratio(self) -> Any:
        return 0.0  # both ranges are known

    def bias(self) -> Any:
        return tf.constant([round(value * SHIFT_STEPS) for value in self._shift], tf.float32)

    def values(self, tensors: Sequence[Any], training: bool) -> Any:
        return tensors[0] + self.bias() / SHIFT_STEPS


def convolutions_of(x: Any) -> list[ConvolvedAt]:
    """The convolutions whose result `x` is or contains, at the site that has just read it."""
    parts = x.parts if isinstance(x, Concatenated) else [x]
    return [part.sites[-1] for part in parts if isinstance(part, Convolved)]
