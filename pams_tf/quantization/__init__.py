"""What a quantizer is: pure functions with their gradients, and the layers that own a range."""

from pams_tf.quantization import functional
from pams_tf.quantization.base import ActivationQuantizer, CodeGrid
from pams_tf.quantization.convolution import QuantConv2D
from pams_tf.quantization.min_max import MinMaxQuantizer
from pams_tf.quantization.quantizers import (
    DorefaQuantizer,
    PactQuantizer,
    PamsQuantizer,
    RangeQuantizer,
    activation_quantizer,
    weight_quantizer,
)

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
    "functional",
    "weight_quantizer",
]
