"""Where the codes of a trained grid lie among those of an int8 tensor."""

import numpy as np

from pams_tf.quantization import CodeGrid

INT8_MIN, INT8_MAX = -128, 127


def zero_point(grid: CodeGrid) -> int:
    """The int8 code that means 0.

    0 for a grid that is symmetric or begins at 0, if it fits so. Any other is put at the end of
    int8 that the nearer end of its range falls on, where the tensor clips without an operator:
    with all 256 codes that is both ends.

    Raises:
      ValueError: more than 256 codes.
    """
    if grid.qmax - grid.qmin > INT8_MAX - INT8_MIN:
        raise ValueError(f"{grid} has more codes than int8")
    if grid.qmin in (0, -grid.qmax) and grid.qmax <= INT8_MAX:
        return 0
    return INT8_MIN - grid.qmin if -grid.qmin <= grid.qmax else INT8_MAX - grid.qmax


def int8_range(scale: float, zero: int) -> tuple[float, float]:
    """The ends of an int8 tensor, float32, whose 255 steps are `scale` in every bit of float32.

    The end farther from 0 is rounded, the other makes up for it.
    """
    exact = float(np.float32(scale))
    low, high = (INT8_MIN - zero) * exact, (INT8_MAX - zero) * exact
    if -low >= high:
        low = float(np.float32(low))
        return low, float(np.float32(low + 255 * exact))
    high = float(np.float32(high))
    return float(np.float32(high - 255 * exact)), high
