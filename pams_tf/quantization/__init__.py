"""What a quantizer is: pure functions with their gradients, and the layers that own a range."""

from pams_tf.quantization import functional
from pams_tf.quantization.convolution import QuantConv2D
from pams_tf.quantization.quantizers import (
    ActivationQuantizer,
    PamsQuantizer,
    RangeQuantizer,
    activation_quantizer,
)

__all__ = [
    "ActivationQuantizer",
    "PamsQuantizer",
    "QuantConv2D",
    "RangeQuantizer",
    "activation_quantizer",
    "functional",
]
