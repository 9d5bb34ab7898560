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
    """How often values occur: the middles of bins of one width, and the weight in each."""

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

    Args:
      x: float32, any shape; what is outside counts at the end.
      weights: of x's shape.
      low, high: scalars, low < high.

    Returns:
      float64 (bins,).
    """
    place = (tf.cast(x, tf.float64) - low) * (bins / (high - low))
    index = tf.clip_by_value(tf.cast(tf.floor(place), tf.int32), 0, bins - 1)
    weights = tf.cast(tf.reshape(weights, [-1]), tf.float64)
    return tf.math.unsorted_segment_sum(weights, tf.reshape(index, [-1]), bins)


def histogram(low: float, high: float, weights: Any) -> Histogram:
    """The histogram with the weights that `histogram_weights` summed."""
    weights = np.asarray(weights, np.float64)
    width = (high - low) / len(weights)
    return Histogram(low + (np.arange(len(weights)) + 0.5) * width, weights)


def quantization_error(seen: Histogram, scale: float, qmin: float, qmax: float) -> float:
    """The weighted sum of (x - x_q)**2 on the grid of scale * code, code from qmin to qmax."""
    codes = np.clip(np.rint(seen.values / scale), qmin, qmax)
    return float(np.sum(seen.weights * (seen.values - codes * scale) ** 2))


def best_alpha(seen: Histogram, qmin: int, qmax: int) -> float:
    """The alpha with the smallest error on the grid of alpha / qmax * code.

    Args:
      seen: the values.
      qmin, qmax: as of `grid.qrange`: of a symmetric or an unsigned grid.

    Returns:
      At most the largest magnitude that a code above 0 can need, and at least 1/20 of it; of equal
      errors the larger alpha. 0 if there are no values but 0.
    """
    low, high = seen.ends
    largest = high if qmin == 0 else max(high, -low)
    if largest <= 0:
        return 0.0
    return _best(lambda alpha: quantization_error(seen, alpha / qmax, qmin, qmax), largest)


def best_ends(seen: Histogram, bits: int) -> tuple[float, float]:
    """The (minimum, maximum) with the smallest error on the grid of `min_max`.

    The two ends are searched in turn, from those of the values.
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
