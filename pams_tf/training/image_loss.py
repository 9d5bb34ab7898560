"""How far an image is from the one that it should be: L1, and that of its luma."""

from typing import Any

import tensorflow as tf

from pams_tf.data.colour import LUMA


def l1(image: Any, goal: Any, luma_weight: float = 0.0) -> Any:
    """The mean absolute error of an image, and `luma_weight` times that of its luma.

    L1 counts an error of red as much as one of green. PSNR-Y counts luma alone, which is also where
    eyes see detail, and in which the channels' errors add up.

    Args:
      image, goal: float32 (N, H, W, 3) in [0, 255]; of one channel, which is luma itself, too.
      luma_weight: weight of the mean absolute error of 0.299 R + 0.587 G + 0.114 B.

    Returns:
      float32 scalar, in grey levels.

    Source: Li et al., ECCV 2020, Eq. 5, for L1; ITU-R BT.601 for luma.
    """
    error = image - goal
    loss = tf.reduce_mean(tf.abs(error))
    if not luma_weight:
        return loss
    if error.shape[-1] == 3:
        error = tf.tensordot(error, tf.constant(LUMA / LUMA.sum(), error.dtype), 1)
    return loss + luma_weight * tf.reduce_mean(tf.abs(error))
