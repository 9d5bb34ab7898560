"""A convolution with quantized weights."""

import math
from functools import partial
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from pams_tf.grid import signed_qmax, unsigned_qmax
from pams_tf.quantization import functional
from pams_tf.quantization.base import Positive
from pams_tf.quantization.functional.codes import EXACT, sums_of_products
from pams_tf.quantization.functional.stored import divided

KERNEL_QUANTIZERS = ("max_abs", "learned", "dorefa")
SMALLEST_CLIP = 1e-6
"""Far below any weight that matters to an image in [0, 255]: no training takes a clip below."""


class Accumulator(Protocol):
    """The unit of a convolution's sums, and what is folded into them.

    Attributes:
      reach: the largest magnitude of the image's codes.
    """

    reach: int

    def folded(self, training: bool) -> tuple[Any, Any]:
        """(factor, offset) of y = factor * conv(x) + offset: float64, scalars or (O,)."""

    def unit(self, training: bool) -> Any:
        """The value of 1 in the sums: float64, a scalar or (O,)."""

    def image_scale(self) -> Any:
        """The value of the image's code 1: a float32 scalar."""


@keras.saving.register_keras_serializable("pams_tf")
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose groups TensorFlow can train on a CPU, too.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import GroupedConv2D
      >>> layer = GroupedConv2D(6, 3, groups=2, padding="same")
      >>> tuple(layer(np.zeros((1, 8, 8, 4), np.float32)).shape), tuple(layer.kernel.shape)
      ((1, 8, 8, 6), (3, 3, 2, 6))

    Args:
      *args, **kwargs: those of `keras.layers.Conv2D`.

    Returns:
      When called on (N, H, W, I): (N, H', W', O).

    Raises:
      ValueError: what Keras refuses, such as groups that do not divide the filters.

    Source: `keras.layers.Conv2D`.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        if self.groups == 1:
            return super().convolution_op(inputs, kernel)
        settings: dict[str, Any] = {"padding": self.padding.upper()}
        if self.groups == inputs.shape[-1]:
            height, width, _, filters = kernel.shape
            return tf.nn.depthwise_conv2d(
                inputs,
                tf.reshape(kernel, (height, width, self.groups, filters // self.groups)),
                (1, *self.strides, 1),
                dilations=self.dilation_rate,
                **settings,
            )
        settings |= {"strides": self.strides, "dilations": self.dilation_rate}
        parts = zip(
            tf.split(inputs, self.groups, axis=-1),
            tf.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        return tf.concat([tf.nn.conv2d(x, w, **settings) for x, w in parts], axis=-1)


@keras.saving.register_keras_serializable("pams_tf")
class ExpandedConv2D(keras.layers.Conv2D):
    """A convolution whose kernel is the sum of branches, which are merged in every step.

    The branches are a kernel as usual; one to `expansion` hidden channels, which a 1x1 convolution
    projects to the filters; and the identity, where there are as many filters as channels.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import ExpandedConv2D
      >>> layer = ExpandedConv2D(4, 3, padding="same", expansion=16)
      >>> tuple(layer(np.zeros((1, 8, 8, 4), np.float32)).shape)
      (1, 8, 8, 4)
      >>> tuple(layer.merged_kernel().shape)
      (3, 3, 4, 4)

    Args:
      expansion: hidden channels of the second branch.
      *args, **kwargs: those of `keras.layers.Conv2D`.

    Returns:
      When called on (N, H, W, I): (N, H', W', O).

    Raises:
      ValueError: what Keras refuses.

    Source: Bhardwaj et al., "Collapsible Linear Blocks for Super-Efficient Super Resolution", MLSys
    2022.
    """

    def __init__(self, *args: Any, expansion: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expansion = expansion

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        *size, channels, filters = self._kernel.shape
        self.expand = self.add_weight(
            name="expand", shape=(*size, channels, self.expansion), initializer="glorot_uniform"
        )
        self.project = self.add_weight(
            name="project", shape=(self.expansion, filters), initializer="glorot_uniform"
        )

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)  # kernel and bias alone
        store["expand"], store["project"] = self.expand, self.project

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self.expand.assign(store["expand"])
        self.project.assign(store["project"])

    def merged_kernel(self) -> Any:
        """The kernel (h, w, I, O) of the one convolution that equals all branches."""
        kernel = self.kernel + tf.tensordot(self.expand.value, self.project.value, 1)
        height, width, channels, filters = kernel.shape
        if channels == filters:
            middle = tf.scatter_nd([[height // 2, width // 2]], tf.eye(filters)[None], kernel.shape)
            kernel += tf.cast(middle, kernel.dtype)
        return kernel

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return super().convolution_op(inputs, tf.cast(self.merged_kernel(), inputs.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "expansion": self.expansion}


@keras.saving.register_keras_serializable("pams_tf")
class QuantConv2D(GroupedConv2D):
    """`keras.layers.Conv2D` (NHWC, kernel HWIO) that computes with quantized weights.

    The float kernel is trained and saved. Of float images the result is float, and so are biases.
    Of codes it is the integer sum that an int8 kernel computes, bit for bit, and biases are rounded
    to whole units of that sum.

    Computes in float32 under every dtype policy: a sum of codes is beyond the 8 significant bits of
    bfloat16 and the 11 of float16. A mixed policy says in which type its gradients are computed.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import QuantConv2D
      >>> layer = QuantConv2D(1, 1, bits=2, use_bias=False)
      >>> layer.build((None, None, None, 2))
      >>> layer.set_weights([np.float32([[[[0.4], [-1.0]]]])])
      >>> layer.quantized_kernel().numpy().ravel().tolist()
      [0.0, -1.0]

    Args:
      bits: bit width of the weights, 2 to 16.
      per_channel: use one range per output channel instead of one for the whole kernel.
      kernel_quantizer: "max_abs", "learned" or "dorefa", see `functional.max_abs`, `learned_clip`
        and `dorefa_weights`.
      filters, kernel_size, **kwargs: those of `keras.layers.Conv2D`.

    Attributes:
      clip: the trained range of "learned", a positive float32 variable: a scalar or (1, 1, 1, O).
        It is a placeholder, 1, until `fit_clip` or `set_clip` sets it. None with other quantizers.

    Raises:
      ValueError: bits or kernel_quantizer is not possible, or what Keras refuses.

    Source: Li et al., ECCV 2020, Eq. 1; integer sums as in Jacob et al. 2018, arXiv 1712.05877,
    Section 2.2.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        bits: int = 8,
        per_channel: bool = False,
        kernel_quantizer: str = "max_abs",
        **kwargs: Any,
    ) -> None:
        self._policy = keras.dtype_policies.get(kwargs.pop("dtype", None))
        super().__init__(filters, kernel_size, dtype="float32", **kwargs)
        signed_qmax(bits)
        if kernel_quantizer not in KERNEL_QUANTIZERS:
            raise ValueError(
                f"kernel_quantizer={kernel_quantizer!r} is not possible; "
                f"choose one of {', '.join(KERNEL_QUANTIZERS)}"
            )
        self.bits = bits
        self.per_channel = per_channel
        self.kernel_quantizer = kernel_quantizer
        self.clip: keras.Variable | None = None

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.kernel_quantizer == "learned":
            self.clip = self.add_weight(
                name="clip",
                shape=(1, 1, 1, self.filters) if self.per_channel else (),
                initializer="ones",
                constraint=Positive(SMALLEST_CLIP),
            )

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)  # kernel and bias alone
        if self.clip is not None:
            store[str(len(self.weights) - 1)] = self.clip

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        if self.clip is not None:
            self.clip.assign(store[str(len(self.weights) - 1)])

    def fit_clip(self) -> None:
        """Set the learned range to that with the smallest squared error of the kernel."""
        kernel = keras.ops.convert_to_numpy(self.kernel)
        self.set_clip(functional.best_clip(kernel, self.qmax, per_channel=self.per_channel))

    def set_clip(self, limits: Any) -> None:
        """Set the learned range to that of each output channel, (O,); equal if there is only one.

        Ranges of another kernel quantizer are those of its kernel, and this does nothing.
        """
        if self.clip is not None:
            limits = np.maximum(limits, SMALLEST_CLIP)
            self.clip.assign(np.reshape(limits, (1, 1, 1, -1)) if self.per_channel else limits[0])

    @property
    def range_axis(self) -> int | None:
        """The kernel axis along which weight ranges differ: -1, or None for a single range."""
        return -1 if self.per_channel else None

    @property
    def qmax(self) -> int:
        """The largest code: weights are integer multiples of `step()`, from -qmax to qmax."""
        dorefa = self.kernel_quantizer == "dorefa"
        return unsigned_qmax(self.bits) if dorefa else signed_qmax(self.bits)

    def step(self) -> Any:
        """The scale of the kernel's grid: a scalar, or (1, 1, 1, O) for one range per channel.

        A range of zeros counts as 1: its codes are 0 on any grid, and its bias needs a unit.
        """
        if self.clip is not None:
            return divided(tf.convert_to_tensor(self.clip.value), self.qmax)
        limit = functional.max_abs_range(self.kernel.value, self.range_axis)
        return divided(tf.where(limit > 0, limit, 1.0), self.qmax)

    def folded_step(self, factor: Any) -> Any:
        """The step of the kernel times a factor per channel, float64; its codes keep their size.

        A channel with a factor of 0 is constant; its codes are 0 on any grid.
        """
        magnitude = tf.abs(factor)
        return tf.cast(self.step(), tf.float64) * tf.where(magnitude > 0, magnitude, 1.0)

    def quantized_kernel(self) -> Any:
        """The quantized kernel, float32 HWIO; its gradient reaches float kernel and clip."""
        kernel = self.kernel.value
        if self.clip is not None:
            return functional.learned_clip(kernel, self.clip.value, self.bits)
        dorefa = self.kernel_quantizer == "dorefa"
        quantize = functional.dorefa_weights if dorefa else functional.max_abs
        return quantize(kernel, self.bits, axis=self.range_axis)

    def call(
        self, inputs: Any, accumulator: Accumulator | None = None, training: bool = False
    ) -> Any:
        """Convolve float images (N, H, W, C), or with `accumulator` their codes.

        Returns:
          float values (N, H, W, O); with `accumulator` the sums, see `functional.codes`.
        """
        if accumulator is not None:
            return self._sums(inputs, accumulator, training)
        outputs = self.convolution_op(inputs, self.quantized_kernel())
        if self.use_bias:
            outputs = keras.ops.add(outputs, self.bias)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs

    def _sums(self, codes: Any, accumulator: Accumulator, training: bool) -> Any:
        factor, offset = accumulator.folded(training)
        bias = tf.cast(self.bias.value, tf.float64) if self.use_bias else 0.0
        return sums_of_products(
            self.convolution_op,
            codes,
            self.quantized_kernel() * tf.cast(factor, tf.float32),
            tf.cast(self.folded_step(factor), tf.float32),
            bias * factor + offset,
            accumulator.unit(training),
            accumulator.image_scale(),
            largest=self._largest_sum(accumulator.reach),
            dtype=self._policy.compute_dtype,
        )

    def _largest_sum(self, reach: int) -> Any:
        """A bound of the sums: from the shape of the kernel if that will do, or from its codes."""
        possible = float(math.prod(self.kernel.shape[:-1]) * self.qmax * reach)
        return possible if possible < EXACT else partial(largest_sum, reach=reach)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "dtype": self._policy.name,
            "bits": self.bits,
            "per_channel": self.per_channel,
            "kernel_quantizer": self.kernel_quantizer,
        }


def kernels_off_grid(model: keras.Model) -> Any:
    """The mean of `functional.off_grid` over all weights of a network's quantized convolutions.

    Example:
      >>> import pams_tf
      >>> from pams_tf import models, quantization
      >>> student = models.build("edsr_nano", 2, pams_tf.QuantizationRecipe(), blocks=1)
      >>> 0 < float(quantization.kernels_off_grid(student)) <= 0.25
      True

    Args:
      model: a student; a network without quantized convolutions has no such mean.

    Returns:
      float32 scalar in squared steps of the grids, from 0 to 0.25.

    Source: `functional.off_grid`.
    """
    layers = [layer for layer in model.layers if isinstance(layer, QuantConv2D)]
    weights = sum(math.prod(layer.kernel.shape) for layer in layers)
    parts = [
        functional.off_grid(layer.kernel.value, layer.quantized_kernel(), layer.step())
        for layer in layers
    ]
    return tf.add_n(parts) / weights


def largest_sum(kernel_codes: Any, reach: int) -> Any:
    """The largest sum that a kernel (H, W, I, O) of codes can make of codes up to `reach`."""
    return reach * tf.reduce_max(tf.reduce_sum(tf.abs(kernel_codes), axis=(0, 1, 2)))
