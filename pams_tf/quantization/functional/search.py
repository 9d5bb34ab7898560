"""Ranges with the smallest quantization error: a search over clipping points in a histogram."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pams_tf.quantization.functional.fixed_ranges import min_max_grid

Tensor = Any
BINS = 4096
SMALLEST_PART = 0.05
"""No range is searched that is a smaller part of the values seen."""
_CANDIDATES = 120
_ROUNDS = 3


class Histogram(NamedTuple):
    """How often values occur: the middles of bins of one width, and the weight in each.

    Example:
      >>> from pams_tf.quantization import functional
      >>> seen = functional.Histogram([0.5, 1.5], [3.0, 1.0])
      >>> seen.ends
      (0.0, 2.0)

    Attributes:
      values: float64 (bins,), rising, at least two; in the unit of the activations.
      weights: float64 (bins,), 0 or more.

    Source: `search_ranges`, which looks for ranges in histograms.
    """

    values: np.ndarray
    weights: np.ndarray

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest value, widened to include 0."""
        half = (self.values[1] - self.values[0]) / 2
        return min(0.0, self.values[0] - half), max(0.0, self.values[-1] + half)


def histogram_weights(
    x: Tensor, weights: Tensor, low: Tensor, high: Tensor, bins: int = BINS
) -> Tensor:
    """The summed weights of the values in each of `bins` equal parts of [low, high].

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> x, weights = np.float32([-0.9, 0.2, 0.3, 5.0]), np.float32([1.0, 2.0, 2.0, 1.0])
      >>> functional.histogram_weights(x, weights, -1.0, 1.0, bins=2).numpy().tolist()
      [1.0, 5.0]

    Args:
      x: float32, any shape; what is outside counts at the end.
      weights: of x's shape.
      low, high: float64 scalars, low < high, in x's unit.
      bins: number of parts.

    Returns:
      float64 (bins,); the weights of several batches may be added up.

    Source: `numpy.histogram`, except that values outside count at the end.
    """
    place = (tf.cast(x, tf.float64) - low) * (bins / (high - low))
    index = tf.clip_by_value(tf.cast(tf.floor(place), tf.int32), 0, bins - 1)
    weights = tf.cast(tf.reshape(weights, [-1]), tf.float64)
    return tf.math.unsorted_segment_sum(weights, tf.reshape(index, [-1]), bins)


def histogram(low: float, high: float, weights: Any) -> Histogram:
    """The histogram with the weights that `histogram_weights` summed.

    Example:
      >>> from pams_tf.quantization import functional
      >>> functional.histogram(-1.0, 1.0, [1, 3]).values.tolist()
      [-0.5, 0.5]

    Args:
      low, high: the ends that the weights were summed between.
      weights: (bins,), at least two.

    Returns:
      A histogram of `bins` values.

    Source: `histogram_weights`.
    """
    weights = np.asarray(weights, np.float64)
    width = (high - low) / len(weights)
    return Histogram(low + (np.arange(len(weights)) + 0.5) * width, weights)


def quantization_error(seen: Histogram, scale: float, qmin: float, qmax: float) -> float:
    """The weighted sum of (x - x_q)**2 on the grid of scale * code, code from qmin to qmax.

    Example:
      >>> from pams_tf.quantization import functional
      >>> seen = functional.histogram(0.0, 1.0, [1, 1])  # the values 0.25 and 0.75
      >>> functional.quantization_error(seen, scale=0.5, qmin=0, qmax=1)
      0.125

    Args:
      seen: the values and what an error of each counts.
      scale: step of the grid, above 0, in the unit of the values.
      qmin, qmax: the smallest and the largest code, whole numbers.

    Returns:
      The error in squared units of the values, 0 or more.

    Source: the smallest squared error as in Choukroun et al., "Low-bit Quantization of Neural
    Networks for Efficient Inference", ICCVW 2019; weights are not in their method.
    """
    codes = np.clip(np.rint(seen.values / scale), qmin, qmax)
    return float(np.sum(seen.weights * (seen.values - codes * scale) ** 2))


def best_alpha(seen: Histogram, qmin: int, qmax: int) -> float:
    """The alpha with the smallest error on the grid of alpha / qmax * code.

    Example:
      >>> from pams_tf.quantization import functional
      >>> seen = functional.histogram(-1.0, 1.0, [0, 50, 900, 50, 1])  # one value is far out
      >>> round(functional.best_alpha(seen, -1, 1), 2)
      0.4

    Args:
      seen: the values.
      qmin, qmax: as of `grid.qrange`: of a symmetric or an unsigned grid.

    Returns:
      At most the largest magnitude that a code above 0 can need, and at least 1/20 of it; of equal
      errors the larger alpha. 0 if there are no values but 0.

    Source: the smallest squared error as in Choukroun et al., "Low-bit Quantization of Neural
    Networks for Efficient Inference", ICCVW 2019; weights are not in their method.
    """
    low, high = seen.ends
    largest = high if qmin == 0 else max(high, -low)
    if largest <= 0:
        return 0.0
    return _best(lambda alpha: quantization_error(seen, alpha / qmax, qmin, qmax), largest)


def best_ends(seen: Histogram, bits: int) -> tuple[float, float]:
    """The (minimum, maximum) with the smallest error on the grid of `min_max`.

    The two ends are searched in turn, from those of the values.

    Example:
      >>> from pams_tf.quantization import functional
      >>> low, high = functional.best_ends(functional.histogram(-0.5, 2.0, [1, 4, 4, 4, 4]), bits=4)
      >>> -0.5 <= low <= 0 < high <= 2.0
      True

    Args:
      seen: the values.
      bits: 2 to 16.

    Returns:
      The two ends in the unit of the values; minimum <= 0 <= maximum.

    Raises:
      ValueError: bits is out of range.

    Source: the smallest squared error as in Choukroun et al., "Low-bit Quantization of Neural
    Networks for Efficient Inference", ICCVW 2019; weights are not in their method.
    """
    lowest, highest = low, high = seen.ends

    def error(low: float, high: float) -> float:
        if high <= low:
            return float(np.sum(seen.weights * seen.values**2))
        grid = (float(x) for x in min_max_grid(np.float32(low), np.float32(high), bits))
        return quantization_error(seen, *grid)

    for _ in range(_ROUNDS):
        high = _best(partial(error, low), highest)
        low = _best(partial(error, high=high), lowest)
    return low, high


def _best(error: Callable[[float], float], end: float) -> float:
    """The part of a range's end with the smallest error; the largest of equal ones."""
    candidates = end * np.geomspace(1.0, SMALLEST_PART, _CANDIDATES)
    return float(candidates[int(np.argmin([error(candidate) for candidate in candidates]))])
