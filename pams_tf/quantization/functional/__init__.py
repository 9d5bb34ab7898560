"""Quantizers as pure functions on tensors, each with its own gradient."""

from pams_tf.quantization.functional.fitting import fitted_weights
from pams_tf.quantization.functional.fixed_ranges import (
    dorefa_activation_codes,
    dorefa_activations,
    min_max,
    min_max_codes,
    min_max_grid,
    moving_average,
)
from pams_tf.quantization.functional.learned_ranges import (
    pact,
    pact_codes,
    pams,
    pams_codes,
    pams_ends,
    pams_ends_codes,
)
from pams_tf.quantization.functional.regularizers import off_grid, overflow
from pams_tf.quantization.functional.search import (
    Histogram,
    best_alpha,
    best_ends,
    histogram,
    histogram_weights,
    quantization_error,
)
from pams_tf.quantization.functional.statistics import (
    running_maximum,
    sample_maxima,
    sample_ranges,
)
from pams_tf.quantization.functional.weights import (
    best_clip,
    dorefa_weights,
    learned_clip,
    max_abs,
    max_abs_range,
)

__all__ = [
    "Histogram",
    "best_alpha",
    "best_clip",
    "best_ends",
    "dorefa_activation_codes",
    "dorefa_activations",
    "dorefa_weights",
    "fitted_weights",
    "histogram",
    "histogram_weights",
    "learned_clip",
    "max_abs",
    "max_abs_range",
    "min_max",
    "min_max_codes",
    "min_max_grid",
    "moving_average",
    "off_grid",
    "overflow",
    "pact",
    "pact_codes",
    "pams",
    "pams_codes",
    "pams_ends",
    "pams_ends_codes",
    "quantization_error",
    "running_maximum",
    "sample_maxima",
    "sample_ranges",
]
