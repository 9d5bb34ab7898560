"""A convolution with quantized weights."""

from typing import Any

import keras

from pams_tf.grid import signed_qmax, unsigned_qmax
from pams_tf.quantization import functional

KERNEL_QUANTIZERS = {"max_abs": functional.max_abs, "dorefa": functional.dorefa_weights}


@keras.saving.register_keras_serializable("pams_tf")
class QuantConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` (NHWC, kernel HWIO) that computes with quantized weights.

    The float kernel is trained and saved. Biases stay float: an integer file stores them in 32
    bits, which is finer than any rounding here.

    Args:
      bits: bit width of the weights, 2 to 16.
      per_channel: use one range per output channel instead of one for the whole kernel.
      kernel_quantizer: "max_abs", see `functional.max_abs`, or "dorefa", see
        `functional.dorefa_weights`.
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
        super().__init__(filters, kernel_size, **kwargs)
        signed_qmax(bits)
        if kernel_quantizer not in KERNEL_QUANTIZERS:
            raise ValueError(
                f"kernel_quantizer={kernel_quantizer!r} is not possible; "
                f"choose {' or '.join(KERNEL_QUANTIZERS)}"
            )
        self.bits = bits
        self.per_channel = per_channel
        self.kernel_quantizer = kernel_quantizer

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
        """The scale of the kernel's grid: a scalar, or (1, 1, 1, O) for one range per channel."""
        return functional.max_abs_range(self.kernel.value, self.range_axis) / self.qmax

    def quantized_kernel(self) -> Any:
        """The quantized kernel, float32 HWIO; its gradient reaches the float kernel."""
        # The variable's own dtype, not the policy's: the grid is computed in float32.
        kernel = keras.ops.cast(self.kernel, "float32")
        return KERNEL_QUANTIZERS[self.kernel_quantizer](kernel, self.bits, axis=self.range_axis)

    def call(self, inputs: Any) -> Any:
        kernel = keras.ops.cast(self.quantized_kernel(), self.compute_dtype)
        outputs = self.convolution_op(inputs, kernel)
        if self.use_bias:
            outputs = keras.ops.add(outputs, keras.ops.cast(self.bias, self.compute_dtype))
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bits": self.bits,
            "per_channel": self.per_channel,
            "kernel_quantizer": self.kernel_quantizer,
        }
