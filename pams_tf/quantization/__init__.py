"""What a quantizer is: pure functions with their gradients, and the layers that own a range."""

from pams_tf.backend import check_backend

check_backend()

from pams_tf.quantization import functional  # noqa: E402 - Keras is only imported once it is right
from pams_tf.quantization.base import ActivationQuantizer, CodeGrid, quantizers  # noqa: E402
from pams_tf.quantization.calibration import calibrate, random_ranges  # noqa: E402
from pams_tf.quantization.choice import activation_quantizer, kernel_quantizer  # noqa: E402
from pams_tf.quantization.convolution import QuantConv2D  # noqa: E402
from pams_tf.quantization.dorefa import DorefaQuantizer  # noqa: E402
from pams_tf.quantization.known_range import RangeQuantizer  # noqa: E402
from pams_tf.quantization.min_max import MinMaxQuantizer  # noqa: E402
from pams_tf.quantization.pact import PactQuantizer  # noqa: E402
from pams_tf.quantization.pams import PamsQuantizer  # noqa: E402

__all__ = [
    "ActivationQuantizer",
    "CodeGrid",
    "DorefaQuantizer",
    "MinMaxQuantizer",
    "PactQuantizer",
    "PamsQuantizer",
    "QuantConv2D",
    "RangeQuantizer",
    "activation_quantizer",
    "calibrate",
    "functional",
    "kernel_quantizer",
    "quantizers",
    "random_ranges",
]
