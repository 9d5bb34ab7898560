"""The integer graph: the network's own text, with each range written down for the converter."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.models import SuperResolution
from pams_tf.models.sites import Sites
from pams_tf.quantization import PamsQuantizer, QuantConv2D, RangeQuantizer
from pams_tf.quantization.functional import levels, max_abs_range

INT8 = 127  # largest code of the symmetric 8-bit grid


class IntegerSites(Sites):
    """Writes each range down as the fake quantization that the converter turns into a scale.

    Works on tensors inside a `tf.function`; every weight is a constant, read here, outside it.
    `weights` is how kernels of 4 bits and less are stored: "int8" or "int4".
    """

    def __init__(self, whole: SuperResolution, weights: str = "int8") -> None:
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
                    storage_bits=4 if weights == "int4" and layer.bits <= 4 else 8,
                )

    def image(self, x: Any) -> Any:
        """Image bytes: scale 1, and 0 at code -128."""
        return tf.quantization.fake_quant_with_min_max_args(x, 0.0, 255.0)

    def activation(self, x: Any, name: str, *, edge: bool = False, after_relu: bool = False) -> Any:
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
            kernel = _weights(constants.kernel * gain, limit, constants.storage_bits)
            y = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), tf.constant(bias, tf.float32))
            return tf.nn.relu(y) if relu else y

        largest = levels(constants.storage_bits)
        limit = (constants.step * (gain * largest)).astype(np.float32)
        y = convolve(limit)
        # One float32 step wider: the same codes, but the converter does not merge the two.
        self._again[y.ref()] = lambda: convolve(np.nextafter(limit, np.float32(np.inf)))
        return y

    def depth_to_space(self, x: Any, scale: int, name: str) -> Any:
        return tf.nn.depth_to_space(x, scale)

    def shifted_image(self, x: Any, shift: Sequence[float], name: str) -> Any:
        # An identity convolution: its int32 bias holds the mean to 1/127 of a grey level, where
        # an int8 constant to add would be off by up to 0.2. Zero padding comes after it, as in
        # the float network, so the head cannot take the mean into its own bias.
        kernel = _weights(np.eye(3).reshape(1, 1, 3, 3), np.ones(()), bits=8)
        x = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), tf.constant(shift, tf.float32))
        return tf.quantization.fake_quant_with_min_max_args(x, *self._ranges[name])


@dataclasses.dataclass(frozen=True)
class _Convolution:
    """A trained convolution: kernel (HWIO) on its grid of step `step`, scalar or a channel's."""

    kernel: np.ndarray
    bias: np.ndarray
    step: np.ndarray
    storage_bits: int


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
