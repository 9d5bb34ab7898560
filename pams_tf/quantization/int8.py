"""Placement of a trained grid's codes within the range of an int8 tensor."""

from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.quantization.base import CodeGrid

INT8_MIN, INT8_MAX = -128, 127


def zero_point(grid: CodeGrid) -> int:
    """The int8 code that represents 0.

    It is 0 for a grid that is symmetric or starts at 0, if the codes then fit into int8. Any other
    grid is shifted so that its end nearer to 0 coincides with an end of int8, where the tensor
    saturates without an extra operator; with all 256 codes both ends do.

    Raises:
      ValueError: more than 256 codes.
    """
    if grid.qmax - grid.qmin > INT8_MAX - INT8_MIN:
        raise ValueError(f"{grid} has more codes than int8")
    if grid.qmin in (0, -grid.qmax) and grid.qmax <= INT8_MAX:
        return 0
    return INT8_MIN - grid.qmin if -grid.qmin <= grid.qmax else INT8_MAX - grid.qmax


def zero_point_of(qmin: Any, qmax: Any) -> Any:
    """`zero_point` of a grid whose ends may be tensors, as whole numbers."""
    symmetric = ((qmin == 0) | (qmin == -qmax)) & (qmax <= INT8_MAX)
    shifted = tf.where(-qmin <= qmax, INT8_MIN - qmin, INT8_MAX - qmax)
    return tf.where(symmetric, 0, shifted)


def int8_range(scale: float, zero: int) -> tuple[float, float]:
    """The float32 (minimum, maximum) of an int8 tensor whose scale is exactly `scale` in float32.

    The end farther from 0 is rounded to float32, and the other end compensates for the rounding.
    """
    exact = float(np.float32(scale))
    low, high = (INT8_MIN - zero) * exact, (INT8_MAX - zero) * exact
    if -low >= high:
        low = float(np.float32(low))
        return low, float(np.float32(low + 255 * exact))
    high = float(np.float32(high))
    return float(np.float32(high - 255 * exact)), high


def needs_clip(grid: CodeGrid, nonnegative: bool) -> bool:
    """Whether an int8 tensor must be clipped to stay on the grid.

    Not where its own saturation does it, or at 0 a ReLU in front.
    """
    zero = zero_point(grid)
    below = grid.qmin + zero > INT8_MIN and not nonnegative
    return below or grid.qmax + zero < INT8_MAX
