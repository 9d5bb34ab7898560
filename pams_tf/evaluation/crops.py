"""Choosing the parts of an image to show."""

import numpy as np
import numpy.typing as npt

from pams_tf.errors import InputError
from pams_tf.evaluation.metrics import luma
from pams_tf.reporting.plots.comparison import Crop


def busiest_crops(hr: npt.ArrayLike, size: int, count: int) -> list[Crop]:
    """The windows in which luma changes most, where a method has most to show.

    Args:
      hr: (H, W, 3) RGB in [0, 255].
      size: side of the square windows.
      count: maximum number of windows; fewer if no more fit without overlapping.

    Returns:
      Windows that do not overlap and keep away from the border, busiest first.

    Raises:
      InputError: `size` does not fit into the image, or `count` < 1.
    """
    y = luma(hr)
    if count < 1:
        raise InputError(f"count is {count}; ask for 1 crop or more")
    if not 1 <= size <= min(y.shape):
        raise InputError(
            f"crops of {size}x{size} do not fit into an image of {y.shape[0]}x{y.shape[1]}; "
            f"choose 1 to {min(y.shape)}"
        )
    down, right = np.gradient(y) if min(y.shape) > 1 else (np.zeros_like(y),) * 2
    # A summed-area table gives the energy of any window from its four corners.
    table = np.pad(down**2 + right**2, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    energy = table[size:, size:] - table[:-size, size:] - table[size:, :-size]
    energy += table[:-size, :-size]
    margins = [min(size // 4, (length - 1) // 2) for length in energy.shape]
    for axis, margin in enumerate(margins):
        edge = np.minimum(np.arange(energy.shape[axis]), np.arange(energy.shape[axis])[::-1])
        np.moveaxis(energy, axis, 0)[edge < margin] = -1.0
    crops: list[Crop] = []
    while len(crops) < count and energy.max() >= 0.0:
        top, left = map(int, np.unravel_index(energy.argmax(), energy.shape))
        crops.append(Crop(top, left, size, size))
        # Keep windows a quarter of their size apart, so that their frames do not touch.
        reach = size + size // 4
        near = (slice(max(0, at - reach + 1), at + reach) for at in (top, left))
        energy[tuple(near)] = -1.0
    return crops
