"""Quantizers: pure functions with their gradients, and the layers that own a range."""

from pams_tf.backend import load_tensorflow

load_tensorflow()  # before Keras is imported

from pams_tf.quantization import functional
from pams_tf.quantization.base import ActivationQuantizer, CodeGrid, quantizers
from pams_tf.quantization.calibration import calibrate, random_ranges
from pams_tf.quantization.choice import activation_quantizer, kernel_quantizer
from pams_tf.quantization.convolution import (
    ExpandedConv2D,
    GroupedConv2D,
    QuantConv2D,
    kernels_off_grid,
)
from pams_tf.quantization.dorefa import DorefaQuantizer
from pams_tf.quantization.known_range import RangeQuantizer
from pams_tf.quantization.min_max import MinMaxQuantizer
from pams_tf.quantization.pact import PactQuantizer
from pams_tf.quantization.pams import PamsEndsQuantizer, PamsQuantizer
from pams_tf.quantization.prelu import QuantPReLU
from pams_tf.quantization.range_search import search_ranges

__all__ = [
    "ActivationQuantizer",
    "CodeGrid",
    "DorefaQuantizer",
    "ExpandedConv2D",
    "GroupedConv2D",
    "MinMaxQuantizer",
    "PactQuantizer",
    "PamsEndsQuantizer",
    "PamsQuantizer",
    "QuantConv2D",
    "QuantPReLU",
    "RangeQuantizer",
    "activation_quantizer",
    "calibrate",
    "functional",
    "kernel_quantizer",
    "kernels_off_grid",
    "quantizers",
    "random_ranges",
    "search_ranges",
]
