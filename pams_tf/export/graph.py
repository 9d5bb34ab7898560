"""The integer graph: the network's own text, with each range written down for the converter."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.export.folding import batch_normalization, normalizations
from pams_tf.export.grids import HIGHEST, LOWEST, int8_range, zero_point
from pams_tf.models import SuperResolution
from pams_tf.models.sites import Sites
from pams_tf.quantization import ActivationQuantizer, CodeGrid, QuantConv2D, RangeQuantizer
from pams_tf.quantization.functional import levels


class IntegerSites(Sites):
    """Writes each range down as the fake quantization that the converter turns into a scale.

    Works on tensors inside a `tf.function`; every weight is a constant, read here, outside it.
    `weights` is how kernels of 4 bits and less are stored: "int8" or "int4".

    **Clips.** A grid of fewer than 8 bits must be clipped, which TensorFlow Lite can do inside a
    convolution or an addition, but only at 6 (RELU6) or at -1 and 1 (RELU_N1_TO_1). So a tensor
    of few bits is held in a *unit* in which its alpha is that bound: the file's value is the
    network's times the unit. The codes are the same, and so are the weights' codes: units only
    scale kernels. An addition wants its tensors in one unit; one that is in another goes through
    a MUL by a constant, which leaves its codes alone. In unit 1 the scale of a tensor is that
    of the grid as trained; a network of 8 bits is in unit 1 throughout. An asymmetric grid of few
    bits has one end at an end of int8, which clips there, and the farther one at the bound.

    **Batch normalization** is folded into the convolution in front, see `batch_normalization`.

    Attributes:
      scales, zero_points, units: of each activation site, as the file holds it; scales and units
        are known once the graph is built.
    """

    def __init__(self, whole: SuperResolution, weights: str = "int8") -> None:
        super().__init__(whole.recipe)
        self.scales: dict[str, float] = {}
        self.units: dict[str, float] = {}
        self.zero_points: dict[str, int] = {}
        self._grids: dict[str, CodeGrid] = {}
        self._constants: dict[str, _Convolution] = {}
        self._ranges: dict[str, tuple[float, float]] = {}
        self._origins: dict[Any, _Origin] = {}
        self._held: dict[Any, _Held] = {}
        self._rescaled: dict[tuple[Any, float], Any] = {}
        self._convolved: set[Any] = set()
        for layer in whole.layers:
            if isinstance(layer, ActivationQuantizer):
                self._grids[layer.name] = layer.grid
                self.zero_points[layer.name] = zero_point(layer.grid)
            elif isinstance(layer, RangeQuantizer):
                self._ranges[layer.name] = (layer.minimum, layer.maximum)
            elif isinstance(layer, QuantConv2D):
                self._constants[layer.name] = _Convolution(
                    kernel=np.asarray(layer.quantized_kernel()),
                    bias=np.asarray(layer.bias.value),
                    step=np.asarray(layer.step()),
                    storage_bits=4 if weights == "int4" and layer.bits <= 4 else 8,
                )
        for name, norm in normalizations(whole).items():
            self._constants[name] = self._constants[name].folded(*batch_normalization(norm))

    def image(self, x: Any) -> Any:
        """Image bytes: scale 1, and 0 at code -128."""
        return tf.quantization.fake_quant_with_min_max_args(self._in_unit(x, 1.0), 0.0, 255.0)

    def activation(self, x: Any, name: str, *, edge: bool = False, after_relu: bool = False) -> Any:
        grid, zero = self._grids[name], self.zero_points[name]
        n = max(-grid.lowest, grid.highest)
        alpha = grid.scale * n
        # What int8 itself does not clip, and no ReLU.
        below = grid.lowest + zero > LOWEST and not after_relu
        clips = below or grid.highest + zero < HIGHEST
        origin = self._origins.get(x.ref())
        if origin is None:  # a concatenation: nothing there to choose a unit or fuse a clip
            if clips:
                # On its grid before the clip too, or the converter puts the concatenation on that
                # of its first tensor, whose range the others would be clipped to.
                x = self._on_grid(x, grid.scale, zero, 1.0)
                x = tf.clip_by_value(x, grid.lowest * grid.scale, grid.highest * grid.scale)
            return self._hold(x, name, 1.0)

        def again(unit: float) -> Any | None:
            if clips and not _falls_on(origin.bound, unit * alpha, n):
                return None
            # A second range for a convolution's result is a second convolution, as exact as the
            # first; requantizing the first would round twice. Tensors are named after their site.
            with tf.name_scope(name):
                y = origin.make(unit, clips)
            return self._hold(y, name, unit, again)

        y = again(origin.unit)
        return again(origin.bound / alpha) if y is None else y

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
        x = self._in_unit(x, self._unit(x))
        limit = (constants.step * (gain * levels(constants.storage_bits))).astype(np.float32)
        self._convolved.add(x.ref())
        unit_of_x = self._unit(x)

        def convolve(limit: np.ndarray, unit: float, clipped: bool) -> Any:
            # Gain and units scale grid and kernel alike, so the codes are those that were trained.
            factor = unit / unit_of_x
            kernel = constants.kernel * (gain * factor)
            kernel = _weights(kernel, limit * np.float32(factor), constants.storage_bits)
            y = tf.nn.conv2d(x, kernel, 1, "SAME")
            y = tf.nn.bias_add(y, tf.constant(bias * unit, tf.float32))
            if relu:
                return tf.nn.relu6(y) if clipped else tf.nn.relu(y)
            return tf.clip_by_value(y, -1.0, 1.0) if clipped else y

        def make(unit: float, clipped: bool) -> Any:
            nonlocal limit
            y = convolve(limit, unit, clipped)
            # One float32 step wider the next time: the same codes, but the converter does not
            # merge the two.
            limit = np.nextafter(limit, np.float32(np.inf))
            return y

        return self._handle(convolve(limit, 1.0, False), _Origin(make, 6.0 if relu else 1.0))

    def add(self, tensors: Sequence[Any], name: str) -> Any:
        def make(unit: float, clipped: bool) -> Any:
            first, second = (self._in_unit(x, unit) for x in tensors)
            return tf.clip_by_value(first + second, -1.0, 1.0) if clipped else first + second

        unit = self._unit(tensors[0])
        return self._handle(tensors[0] + tensors[1], _Origin(make, bound=1.0, unit=unit))

    def concatenate(self, tensors: Sequence[Any], name: str) -> Any:
        return tf.concat([self._in_unit(x, 1.0) for x in tensors], axis=-1)

    def depth_to_space(self, x: Any, scale: int, name: str) -> Any:
        return self._moved(x, tf.nn.depth_to_space(x, scale))

    def shifted_image(self, x: Any, shift: Sequence[float], name: str) -> Any:
        # An identity convolution: its int32 bias holds the mean to 1/127 of a grey level, where
        # an int8 constant to add would be off by up to 0.2. Zero padding comes after it, as in
        # the float network, so the head cannot take the mean into its own bias.
        kernel = _weights(np.eye(3).reshape(1, 1, 3, 3), np.ones(()), bits=8)
        x = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), tf.constant(shift, tf.float32))
        return tf.quantization.fake_quant_with_min_max_args(x, *self._ranges[name])

    def _handle(self, x: Any, origin: "_Origin") -> Any:
        """Of a result that no grid holds yet: nothing reads `x`, all have it made by its origin."""
        self._origins[x.ref()] = origin
        return x

    def _hold(self, x: Any, name: str, unit: float, again: Any = None) -> Any:
        """The tensor of a site, on its grid; `x` is in `unit`."""
        self.units[name] = unit
        self.scales[name] = unit * self._grids[name].scale
        return self._on_grid(x, self.scales[name], self.zero_points[name], unit, again)

    def _on_grid(self, x: Any, scale: float, zero: int, unit: float, again: Any = None) -> Any:
        y = tf.quantization.fake_quant_with_min_max_args(x, *int8_range(scale, zero))
        self._held[y.ref()] = _Held(scale, zero, unit, again)
        return y

    def _unit(self, x: Any) -> float:
        known = self._held.get(x.ref()) or self._origins.get(x.ref())
        return known.unit if known else 1.0

    def _in_unit(self, x: Any, unit: float) -> Any:
        """The same codes in another unit: made there at once, if nothing else reads `x`."""
        if x.ref() in self._origins:  # on no grid yet
            return self._origins[x.ref()].make(unit, False)
        if self._unit(x) == unit:
            return x
        held = self._held[x.ref()]
        y = self._rescaled.get((x.ref(), unit))
        if y is None and held.again is not None and x.ref() not in self._convolved:
            y = held.again(unit)
        if y is None:
            factor = unit / held.unit
            y = self._on_grid(x * _one(factor), held.scale * factor, held.zero_point, unit)
            self._rescaled[x.ref(), unit] = y
        return y

    def _moved(self, x: Any, y: Any) -> Any:
        """`y`, which holds the values of `x` in other places."""
        if x.ref() in self._held:
            self._held[y.ref()] = dataclasses.replace(self._held[x.ref()], again=None)
        return y


@dataclasses.dataclass(frozen=True)
class _Origin:
    """What computed a tensor that no grid holds yet.

    `make(unit, clipped)` computes it in another unit, clipped at -bound (0 behind a ReLU) and
    bound or not; `unit` is the one it comes in by itself.
    """

    make: Callable[[float, bool], Any]
    bound: float
    unit: float = 1.0


@dataclasses.dataclass(frozen=True)
class _Held:
    """A tensor on its grid; `again(unit)` makes it in another unit, None where it cannot."""

    scale: float
    zero_point: int
    unit: float
    again: Callable[[float], Any] | None


@dataclasses.dataclass(frozen=True)
class _Convolution:
    """A trained convolution: kernel (HWIO) on its grid of step `step`, scalar or a channel's."""

    kernel: np.ndarray
    bias: np.ndarray
    step: np.ndarray
    storage_bits: int

    def folded(self, factor: np.ndarray, offset: np.ndarray) -> "_Convolution":
        """With y = factor * x + offset behind it, of each channel; the codes keep their size."""
        # A channel with the factor 0 is a constant; its codes are zeros on any grid.
        magnitude = np.where(factor == 0, 1.0, np.abs(factor))
        return dataclasses.replace(
            self,
            kernel=self.kernel * factor,
            bias=self.bias * factor + offset,
            step=np.ravel(self.step) * magnitude,
        )


def _one(factor: float) -> Any:
    """A constant factor that is stored as the code 1: on a grid scaled by it, codes stay."""
    constant = tf.constant(factor, tf.float32)
    return tf.quantization.fake_quant_with_min_max_args(constant, *int8_range(factor, 0))


def _falls_on(bound: float, alpha: float, n: int) -> bool:
    """Whether a clip at `bound` leaves the codes up to n: kernels round it to a code, too."""
    return abs(bound / (alpha / n) - n) < 0.4


def _weights(kernel: np.ndarray, limit: np.ndarray, bits: int) -> Any:
    """A constant kernel (HWIO) that the converter stores as codes of `bits`, the largest `limit`.

    `limit` is one number, or one for each output channel.
    """
    constant = tf.constant(kernel, tf.float32)
    limit = np.asarray(limit, np.float32).reshape(-1)
    if limit.size == 1:
        return tf.quantization.fake_quant_with_min_max_vars(
            constant, -limit[0], limit[0], num_bits=bits, narrow_range=True
        )
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(
        constant, -limit, limit, num_bits=bits, narrow_range=True
    )
