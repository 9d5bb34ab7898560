"""Trained convolutions as the constants of an integer graph."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.export.values import Held
from pams_tf.grid import signed_qmax
from pams_tf.models import SuperResolution
from pams_tf.models.folding import batch_normalization, normalizations
from pams_tf.quantization import QuantConv2D, QuantPReLU
from pams_tf.quantization.functional.codes import bias_codes
from pams_tf.quantization.functional.stored import (
    accumulator_unit,
    stored_limit,
    stored_scale,
)
from pams_tf.quantization.int8 import int8_range


@dataclasses.dataclass(frozen=True)
class ConvolutionConstants:
    """A convolution with everything that is folded into it.

    Attributes:
      kernel: (H, W, I, O), values on the quantization grid.
      bias: (O,) float64.
      step: scale of the kernel's grid, float64, () or (O,).
      storage_bits: bit width of the codes in the file, 8 or 4.
    """

    kernel: np.ndarray
    bias: np.ndarray
    step: np.ndarray
    storage_bits: int

    def folded(self, factor: Any, offset: Any) -> "ConvolutionConstants":
        """Fold y = factor * x + offset, per channel, into it; the codes keep their magnitude."""
        # A channel with a factor of 0 is constant; its codes are 0 on any grid.
        magnitude = np.where(np.equal(factor, 0), 1.0, np.abs(factor))
        return dataclasses.replace(
            self,
            kernel=self.kernel * factor,
            bias=self.bias * factor + offset,
            step=self.step * magnitude,
        )

    def part(self, channels: np.ndarray) -> "ConvolutionConstants":
        """The convolution that computes only these output channels."""
        return dataclasses.replace(
            self,
            kernel=self.kernel[..., channels],
            bias=self.bias[channels],
            step=self.step[..., channels] if self.step.size > 1 else self.step,
        )

    def before_depth_to_space(self, scale: int) -> "ConvolutionConstants":
        """The equivalent convolution in front of a depth-to-space, if this one is behind it."""
        copies = scale**2
        return dataclasses.replace(
            self,
            kernel=before_depth_to_space(self.kernel, scale),
            bias=np.tile(self.bias, copies),
            step=np.tile(self.step, copies) if self.step.size > 1 else self.step,
        )

    def weights_and_bias(self, unit: float, image: Held, copy: int) -> tuple[Any, Any, np.ndarray]:
        """Kernel and bias as constants that the converter stores as the student's own codes.

        Also the codes of the bias, because a float32 constant does not hold large ones exactly.

        Args:
          unit: of the result.
          image: what is convolved.
          copy: see `functional.stored.stored_limit`.
        """
        qmax = signed_qmax(self.storage_bits)
        factor = unit / image.unit
        with tf.init_scope():  # numbers, although a graph is being built
            step = tf.constant(self.step, tf.float64)
            limit = stored_limit(step, tf.constant(factor, tf.float64), copy, qmax)
            image_scale = tf.constant(image.unit * image.scale, tf.float32)
            accumulator = accumulator_unit(stored_scale(limit, qmax), image_scale, unit)
            codes = bias_codes(tf.constant(self.bias, tf.float64), accumulator).numpy()
            limit = limit.numpy()
        # The converter divides by scales in float64 that it computes from the ends of the ranges.
        low, high = int8_range(image.unit * image.scale, image.zero_point)
        converted = np.float64(limit) / qmax * (high - low) / 255
        bias = tf.constant(codes * converted, tf.float32)
        return stored_weights(self.kernel * factor, limit, self.storage_bits), bias, codes


def convolution_constants(
    network: SuperResolution, weights: str
) -> dict[str, ConvolutionConstants]:
    """The constants of each quantized convolution by name, with batch normalization folded in.

    Args:
      network: its variables are read here, outside any graph.
      weights: "int4" to store kernels of 4 bits or fewer as int4; "int8" to store all as int8.
    """
    constants = {
        layer.name: ConvolutionConstants(
            kernel=np.asarray(layer.quantized_kernel()),
            bias=np.asarray(layer.bias.value, np.float64),
            step=np.squeeze(np.asarray(layer.step(), np.float64)),
            storage_bits=4 if weights == "int4" and layer.bits <= 4 else 8,
        )
        for layer in network.layers
        if isinstance(layer, QuantConv2D)
    }
    for name, norm in normalizations(network).items():
        factor, offset = (np.asarray(x) for x in batch_normalization(norm))
        constants[name] = constants[name].folded(factor, offset)
    return constants


def slopes(network: SuperResolution) -> dict[str, np.ndarray]:
    """The quantized slopes (1, 1, C) of each PReLU by name; the converter wants this shape."""
    return {
        layer.name: np.asarray(layer.slopes())[0]
        for layer in network.layers
        if isinstance(layer, QuantPReLU)
    }


def stored_weights(kernel: np.ndarray, limit: Sequence[float] | np.ndarray, bits: int) -> Any:
    """A constant kernel (HWIO) that the converter stores as codes of `bits` bits.

    `limit` is the value of the largest code: one number, or one per output channel.
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


def before_depth_to_space(kernel: np.ndarray, scale: int) -> np.ndarray:
    """The kernel for which conv(d2s(x), kernel) = d2s(conv(x, result)).

    (k, k, C, F) with an odd k becomes (k, k, s*s*C, s*s*F), where s is `scale`.
    """
    size, _, channels, filters = kernel.shape
    reach, sub = size // 2, range(scale)
    offsets = range(-reach, reach + 1)
    moved = np.zeros((size, size, scale, scale, channels, scale, scale, filters), kernel.dtype)
    for i, j, u, v in itertools.product(sub, sub, offsets, offsets):
        (a, p), (b, q) = divmod(i + u, scale), divmod(j + v, scale)
        moved[reach + a, reach + b, p, q, :, i, j] = kernel[reach + u, reach + v]
    return moved.reshape(size, size, scale**2 * channels, scale**2 * filters)
