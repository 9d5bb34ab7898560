"""The integer graph: the network's own builder, with each range made explicit for the converter."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.export.constants import (
    ConvolutionConstants,
    convolution_constants,
    stored_weights,
)
from pams_tf.export.grids import INT8_MAX, INT8_MIN, zero_point
from pams_tf.export.values import Held, Part, Result, Value, on_grid
from pams_tf.models import SuperResolution
from pams_tf.models.sites import Sites
from pams_tf.quantization import ActivationQuantizer, CodeGrid, RangeQuantizer


class IntegerSites(Sites):
    """Expresses each range as the fake quantization that the converter turns into a scale.

    Works on `Value` objects inside a `tf.function`; every weight is a constant that was read
    beforehand.

    **Clipping.** A grid of fewer than 8 bits must be clipped. TensorFlow Lite can fuse the clip
    into a convolution or an addition, but only at 6 (RELU6) or at -1 and 1 (RELU_N1_TO_1). So a
    low-bit tensor is held in a *unit* in which its alpha equals that bound: the value in the file
    is the network's value times the unit. The codes of the tensor stay the same, and so do those
    of the weights, because a unit only scales the kernel. An addition needs all its inputs in one
    unit; an input in another unit goes through a MUL by a constant, which leaves its codes
    unchanged. In unit 1 the scale of a tensor is that of the grid as trained; an 8-bit network is
    in unit 1 throughout. An asymmetric low-bit grid has its nearer end at an end of int8, where
    the tensor saturates, and its farther end at the bound.

    **Batch normalization** is folded into the convolution in front of it; see `export.folding`.

    Args:
      network: a network with a quantizer at every site.
      weights: how kernels of 4 bits or fewer are stored: "int8" or "int4".

    Attributes:
      zero_points: of each activation site.
      scales, units: of each activation site, as stored in the file; known once the graph is built.
    """

    def __init__(self, network: SuperResolution, weights: str = "int8") -> None:
        layers = network.layers
        quantizers = [layer for layer in layers if isinstance(layer, ActivationQuantizer)]
        self.zero_points = {q.name: zero_point(q.grid) for q in quantizers}
        self.scales: dict[str, float] = {}
        self.units: dict[str, float] = {}
        self._grids: dict[str, CodeGrid] = {q.name: q.grid for q in quantizers}
        self._constants = convolution_constants(network, weights)
        self._ranges = {
            layer.name: (layer.minimum, layer.maximum)
            for layer in layers
            if isinstance(layer, RangeQuantizer)
        }

    def input(self, x: Any) -> Held:
        """The graph's input, a float32 tensor (1, H, W, 3) in [0, 255], on the grid of bytes."""
        return Held("input", lambda: _bytes(x), 3, 1.0, INT8_MIN)

    def image(self, x: Value) -> Held:
        return Held(
            "output",
            lambda: _bytes(x.in_unit(1.0)),
            x.channels,
            1.0,
            INT8_MIN,
            part=lambda channels: self.image(x.part(channels)),
        )

    def kept(self, x: Value, held: Value) -> Value:
        return held

    def activation(
        self, x: Value, name: str, *, body: bool = True, after_relu: bool = False
    ) -> Held:
        if isinstance(x, Held):  # already on a grid: requantizing it cannot be fused
            source = x
            x = Result(lambda unit, clipped: source.in_unit(1.0), x.channels, bound=None)
        assert isinstance(x, Result)
        grid, zero = self._grids[name], self.zero_points[name]
        # Whether an end needs a clip: neither saturation of int8 nor a ReLU provides it there.
        below = grid.qmin + zero > INT8_MIN and not after_relu
        clips = below or grid.qmax + zero < INT8_MAX

        def part(channels: np.ndarray) -> Held:
            return self.activation(x.part(channels), name, body=body, after_relu=after_relu)

        if x.bound is None:
            return self._clipped_apart(x, name, clips, part)
        bound, n = x.bound, max(-grid.qmin, grid.qmax)
        alpha = grid.scale * n

        def held(unit: float) -> Held | None:
            if clips and not _falls_on(bound, unit * alpha, n):
                return None

            def compute() -> Any:
                # A second range for the result of a convolution gets a second convolution, which
                # is as exact as the first; requantizing the first result would round twice.
                return self._on_grid(x.make(unit, clips), name, unit)

            scale = unit * grid.scale
            return Held(name, compute, x.channels, scale, zero, unit=unit, remake=held, part=part)

        first = held(x.unit) or held(bound / alpha)
        assert first is not None
        return first

    def convolution(
        self,
        x: Value,
        filters: int,
        kernel_size: int,
        name: str,
        *,
        body: bool = True,
        batch_norm: bool = False,
        gain: float = 1.0,
        shift: Sequence[float] | None = None,
        relu: bool = False,
        dtype: str | None = None,
    ) -> Value:
        offset = 0.0 if shift is None else np.asarray(shift)
        return self._convolved(x, self._constants[name].folded(gain, offset), relu)

    def add(self, tensors: Sequence[Value], name: str) -> Result:
        def make(unit: float, clipped: bool) -> Any:
            first, second = (x.in_unit(unit) for x in tensors)
            return tf.clip_by_value(first + second, -1.0, 1.0) if clipped else first + second

        return Result(make, tensors[0].channels, bound=1.0, unit=tensors[0].unit)

    def concatenate(self, tensors: Sequence[Value], name: str) -> Result:
        def make(unit: float, clipped: bool) -> Any:
            return tf.concat([x.in_unit(1.0) for x in tensors], axis=-1)

        return Result(make, sum(x.channels for x in tensors), bound=None)

    def depth_to_space(self, x: Value, scale: int, name: str) -> Value:
        assert isinstance(x, Held)
        channels = x.channels // scale**2
        return x.moved(name, lambda: tf.nn.depth_to_space(x.tensor, scale), channels)

    def shifted_image(self, x: Value, shift: Sequence[float], name: str) -> Held:
        low, high = self._ranges[name]

        def compute() -> Any:
            # An identity convolution: its int32 bias stores the mean to 1/127 of a grey level,
            # while an int8 constant to add would be off by up to 0.2. Zero padding follows it, as
            # in the float network, so the mean cannot be folded into the bias of the head.
            kernel = stored_weights(np.eye(3).reshape(1, 1, 3, 3), [1.0], bits=8)
            y = tf.nn.conv2d(x.in_unit(1.0), kernel, 1, "SAME")
            y = tf.nn.bias_add(y, tf.constant(shift, tf.float32))
            return tf.quantization.fake_quant_with_min_max_args(y, low, high)

        scale = (high - low) / 255
        return Held(name, compute, 3, scale, round(-low / scale) + INT8_MIN)

    def _convolved(self, x: Value, constants: ConvolutionConstants, relu: bool) -> Result:
        if isinstance(x, Held):
            x.convolved = True
        copies = itertools.count()

        def make(unit: float, clipped: bool) -> Any:
            # A unit scales the kernel and its grid alike, so the codes stay as trained.
            kernel = constants.weights(unit / x.unit, next(copies))
            y = tf.nn.conv2d(x.in_unit(x.unit), kernel, 1, "SAME")
            y = tf.nn.bias_add(y, tf.constant(constants.bias * unit, tf.float32))
            if relu:
                return tf.nn.relu6(y) if clipped else tf.nn.relu(y)
            return tf.clip_by_value(y, -1.0, 1.0) if clipped else y

        return Result(
            make,
            constants.kernel.shape[-1],
            bound=6.0 if relu else 1.0,
            part=lambda channels: self._convolved(x, constants.part(channels), relu),
        )

    def _clipped_apart(self, x: Result, name: str, clips: bool, part: Part) -> Held:
        """The site of an operator, such as a concatenation, that has no fused clip and no unit."""
        grid, zero = self._grids[name], self.zero_points[name]

        def compute() -> Any:
            y = x.in_unit(1.0)
            if clips:
                # On its grid before the clip as well: otherwise the converter gives the
                # concatenation the grid of its first input and clips the others to that range.
                y = on_grid(y, grid.scale, zero)
                y = tf.clip_by_value(y, grid.qmin * grid.scale, grid.qmax * grid.scale)
            return self._on_grid(y, name, 1.0)

        return Held(name, compute, x.channels, grid.scale, zero, part=part)

    def _on_grid(self, y: Any, name: str, unit: float) -> Any:
        """The tensor of a site in the given unit; records the unit and the scale in the file."""
        self.units[name] = unit
        self.scales[name] = unit * self._grids[name].scale
        return on_grid(y, self.scales[name], self.zero_points[name])


def _bytes(x: Any) -> Any:
    """Put image values on the grid of bytes: scale 1, zero point -128."""
    return tf.quantization.fake_quant_with_min_max_args(x, 0.0, 255.0)


def _falls_on(bound: float, alpha: float, n: int) -> bool:
    """Whether a clip at `bound` ends at code n: LiteRT's kernels round the bound to a code."""
    return abs(bound / (alpha / n) - n) < 0.4
