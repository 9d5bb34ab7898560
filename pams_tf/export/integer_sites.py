"""The integer graph: the network's own builder, with each range made explicit for the converter."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.export.constants import (
    ConvolutionConstants,
    convolution_constants,
    slopes,
    stored_weights,
)
from pams_tf.export.values import Held, Result, Value, on_grid
from pams_tf.models import SuperResolution
from pams_tf.models.functions import TABLES
from pams_tf.models.movements import movement as movement_layer
from pams_tf.models.results import in_steps
from pams_tf.models.sites import PLAIN, Geometry, Sites
from pams_tf.quantization.int8 import INT8_MIN


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
    unchanged. In unit 1 the scale of a tensor is that of the grid as trained; an 8-bit network
    whose values are grey levels is in unit 1 throughout. An asymmetric low-bit grid has its nearer
    end at an end of int8, where the tensor saturates, and its farther end at the bound.

    **Batch normalization** is folded into the convolution in front of it; see `models.folding`.

    Args:
      network: a network with a quantizer at every site.
      weights: how kernels of 4 bits or fewer are stored: "int8" or "int4".

    Attributes:
      sites: how the file holds each site.
      biases: the codes of each bias in the graph; known once it is built.
    """

    def __init__(self, network: SuperResolution, weights: str = "int8") -> None:
        self.biases: list[np.ndarray] = []
        self._constants = convolution_constants(network, weights)
        self._slopes = slopes(network)
        self.sites = {name: site.held.in_file() for name, site in network.sites.items()}

    def input(self, x: Any) -> Held:
        """The graph's input, a float32 tensor (1, H, W, C) in [0, 255], on the grid of bytes."""
        return Held("input", lambda: _bytes(x), x.shape[-1], 1.0, INT8_MIN)

    def image(self, x: Value, name: str = "image", *, gain: float = 1.0) -> Held:
        return self._image(x, x.next_copy(), gain)

    def _image(self, x: Value, copy: int, gain: float) -> Held:
        return Held(
            "output",
            lambda: _bytes(x.for_site(copy, gain)),
            x.channels,
            1.0,
            INT8_MIN,
            part=lambda channels: self._image(x.part(channels), copy, gain),
        )

    def kept(self, x: Value, held: Value) -> Value:
        return held

    def activation(
        self,
        x: Value,
        name: str,
        *,
        body: bool = True,
        after_relu: bool = False,
        ceiling: float | None = None,
        true_values: bool = False,
    ) -> Held:
        return self._at(x, name, x.next_copy())

    def clipped(self, x: Value, name: str, *, low: float, high: float) -> Value:
        return x

    def known_range(
        self, x: Value, name: str, *, minimum: float, maximum: float, body: bool = True
    ) -> Held:
        return self._at(x, name, x.next_copy())

    def _at(self, x: Value, name: str, copy: int) -> Held:
        site = self.sites[name]
        grid, zero = site.grid, site.zero_point

        def compute() -> Any:
            if isinstance(x, Result) and site.fused:
                return on_grid(x.make(site.unit, True, copy), site.scale, zero)
            y = x.for_site(copy, site.unit)
            if site.clips:
                # On its grid before the clip as well: otherwise the converter gives a
                # concatenation the grid of its first input and clips the others to that range.
                y = on_grid(y, site.scale, zero)
                y = tf.clip_by_value(y, grid.qmin * site.scale, grid.qmax * site.scale)
            return on_grid(y, site.scale, zero)

        def part(channels: np.ndarray) -> Held:
            return self._at(x.part(channels), name, copy)

        return Held(name, compute, x.channels, grid.scale, zero, unit=site.unit, part=part)

    def convolution(
        self,
        x: Value,
        filters: int,
        kernel_size: int | Sequence[int],
        name: str,
        *,
        body: bool = True,
        batch_norm: bool = False,
        gain: float = 1.0,
        shift: Sequence[float] | None = None,
        relu: bool = False,
        dtype: str | None = None,
        geometry: Geometry = PLAIN,
        shared: str | None = None,
        expansion: int = 0,
    ) -> Value:
        offset = 0.0 if shift is None else np.asarray(shift)
        constants = self._constants[shared or name].folded(gain, offset)
        return self._convolved(x, constants, relu, geometry)

    def function(self, x: Value, name: str, *, kind: str, slope: float = 0.0) -> Result:
        assert isinstance(x, Held)

        def make(unit: float, clipped: bool, copy: int) -> Any:
            if kind == "prelu":
                slopes = self._slopes[name]
                # The form in which the converter knows a PReLU.
                return tf.nn.relu(x.tensor) + (-slopes) * tf.nn.relu(-x.tensor)
            if kind == "leaky_relu":
                return tf.nn.leaky_relu(x.tensor, slope)
            return TABLES[kind](x.tensor)

        return Result(make, x.channels, bound=None, unit=x.unit)

    def add(self, tensors: Sequence[Value], name: str, *, relu: bool = False) -> Result:
        def make(unit: float, clipped: bool, copy: int) -> Any:
            first, second = (x.in_unit(unit) for x in tensors)
            return _clipped(first + second, relu, clipped)

        channels = max(x.channels for x in tensors)
        return Result(make, channels, bound=6.0 if relu else 1.0, unit=tensors[0].unit)

    def multiply(self, tensors: Sequence[Value], name: str) -> Result:
        first, second = tensors

        def make(unit: float, clipped: bool, copy: int) -> Any:
            return first.in_unit(first.unit) * second.in_unit(second.unit)

        channels = max(x.channels for x in tensors)
        return Result(make, channels, bound=None, unit=first.unit * second.unit)

    def concatenate(self, tensors: Sequence[Value], name: str) -> Result:
        # A result goes right into the concatenation's grid, whichever site is behind it.
        copies = [x.next_copy() if isinstance(x, Held) else 0 for x in tensors]

        def make(unit: float, clipped: bool, copy: int) -> Any:
            parts = [x.for_site(copy, unit) for x, copy in zip(tensors, copies, strict=True)]
            return tf.concat(parts, axis=-1)

        return Result(make, sum(x.channels for x in tensors), bound=None)

    def depth_to_space(self, x: Value, scale: int, name: str) -> Value:
        assert isinstance(x, Held)
        channels = x.channels // scale**2
        return x.moved(name, lambda: tf.nn.depth_to_space(x.tensor, scale), channels)

    def moved(self, x: Value, name: str, *, movement: str, settings: Mapping[str, Any]) -> Value:
        assert isinstance(x, Held)
        layer = movement_layer(movement, settings)
        channels = layer.compute_output_shape((1, None, None, x.channels))[-1]

        def compute() -> Any:
            y = layer.call(x.tensor)
            # The converter keeps the grid of what moves values, but not that of a ReLU.
            moves = movement != "rectify"
            return y if moves else on_grid(y, x.unit * x.scale, x.zero_point)

        return x.moved(name, compute, channels)

    def rescaled(self, x: Value, name: str, *, factor: float) -> Value:
        assert isinstance(x, Held)
        return x.rescaled(factor, x.unit / factor)

    def shifted_image(self, x: Value, shift: Sequence[float], name: str) -> Held:
        scale, zero = self.sites[name].grid.scale, self.sites[name].zero_point
        shift = in_steps(shift)

        def compute() -> Any:
            # An identity convolution: its int32 bias stores the mean to 1/127 of a grey level,
            # while an int8 constant to add would be off by up to 0.2. Zero padding follows it, as
            # in the float network, so the mean cannot be folded into the bias of the head.
            count = x.channels
            kernel = np.eye(count).reshape(1, 1, count, count)
            kernel = stored_weights(kernel, [1.0], bits=8)
            y = tf.nn.conv2d(x.in_unit(1.0), kernel, 1, "SAME")
            y = tf.nn.bias_add(y, tf.constant(shift, tf.float32))
            return on_grid(y, scale, zero)

        return Held(name, compute, x.channels, scale, zero)

    def _convolved(
        self, x: Value, constants: ConvolutionConstants, relu: bool, geometry: Geometry = PLAIN
    ) -> Result:
        assert isinstance(x, Held)

        def make(unit: float, clipped: bool, copy: int) -> Any:
            # A second site for the result of a convolution gets a second convolution, which is as
            # exact as the first; requantizing the first result would round twice.
            kernel, bias, codes = constants.weights_and_bias(unit, x, copy)
            self.biases.append(codes)
            y = tf.nn.bias_add(_convolution(x.tensor, kernel, geometry), bias)
            return _clipped(y, relu, clipped)

        def part(channels: np.ndarray) -> Result:
            return self._convolved(x, constants.part(channels), relu, geometry)

        return Result(
            make,
            constants.kernel.shape[-1],
            bound=6.0 if relu else 1.0,
            part=part if geometry.groups == 1 else None,
        )


def _convolution(x: Any, kernel: Any, geometry: Geometry) -> Any:
    stride, padding = geometry.strides, geometry.padding.upper()
    dilations = [geometry.dilation] * 2
    if 1 < geometry.groups == kernel.shape[-1]:
        kernel = tf.transpose(kernel, (0, 1, 3, 2))
        strides = (1, stride, stride, 1)
        return tf.nn.depthwise_conv2d(x, kernel, strides, padding, dilations=dilations)
    return tf.nn.conv2d(x, kernel, stride, padding, dilations=dilations)


def _clipped(y: Any, relu: bool, clipped: bool) -> Any:
    """What an operator does at its end in a file: its own ReLU, or a clip at its bound."""
    if relu:
        return tf.nn.relu6(y) if clipped else tf.nn.relu(y)
    return tf.clip_by_value(y, -1.0, 1.0) if clipped else y


def _bytes(x: Any) -> Any:
    """Put image values on the grid of bytes: scale 1, zero point -128."""
    return tf.quantization.fake_quant_with_min_max_args(x, 0.0, 255.0)
