"""Trained convolutions as the constants of an integer graph."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.export.folding import batch_normalization, normalizations
from pams_tf.grid import signed_qmax
from pams_tf.models import SuperResolution
from pams_tf.quantization import QuantConv2D


@dataclasses.dataclass(frozen=True)
class ConvolutionConstants:
    """A convolution with everything that is folded into it.

    Attributes:
      kernel: (H, W, I, O), values on the quantization grid.
      bias: (O,).
      step: scale of the kernel's grid, a scalar or one per output channel.
      storage_bits: bit width of the codes in the file, 8 or 4.
    """

    kernel: np.ndarray
    bias: np.ndarray
    step: np.ndarray
    storage_bits: int

    @property
    def limit(self) -> np.ndarray:
        """The value of the largest code that fits `storage_bits`: float32, (1,) or (O,)."""
        return (np.ravel(self.step) * signed_qmax(self.storage_bits)).astype(np.float32)

    def folded(self, factor: Any, offset: Any) -> "ConvolutionConstants":
        """Fold y = factor * x + offset, per channel, into it; the codes keep their magnitude."""
        # A channel with a factor of 0 is constant; its codes are 0 on any grid.
        magnitude = np.where(np.equal(factor, 0), 1.0, np.abs(factor))
        return dataclasses.replace(
            self,
            kernel=self.kernel * factor,
            bias=self.bias * factor + offset,
            step=np.ravel(self.step) * magnitude,
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
            step=np.tile(np.ravel(self.step), copies) if self.step.size > 1 else self.step,
        )

    def weights(self, factor: float, copy: int) -> Any:
        """The kernel times `factor`, as a constant that the converter stores as the same codes.

        Copies of one convolution must differ, or the converter merges them: the range of copy n is
        n float32 ulps wider, which changes no code.
        """
        limit = self.limit
        for _ in range(copy):
            limit = np.nextafter(limit, np.float32(np.inf))
        return stored_weights(self.kernel * factor, limit * np.float32(factor), self.storage_bits)


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
            bias=np.asarray(layer.bias.value),
            step=np.asarray(layer.step()),
            storage_bits=4 if weights == "int4" and layer.bits <= 4 else 8,
        )
        for layer in network.layers
        if isinstance(layer, QuantConv2D)
    }
    for name, norm in normalizations(network).items():
        constants[name] = constants[name].folded(*batch_normalization(norm))
    return constants


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
