"""Training batches as a `tf.data.Dataset`."""

from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.data.colour import seen, wanted
from pams_tf.data.packed import PackedPairs
from pams_tf.data.patches import training_batch


def training_dataset(
    packed: PackedPairs,
    *,
    seed: int,
    start_step: int,
    batch_size: int,
    patch_size: int,
    augment: bool = True,
    channels: int = 3,
) -> tf.data.Dataset:
    """An endless dataset whose batch k is `training_batch(step=start_step + k)`.

    With `channels` 1, LR and HR are luma; LR in whole numbers, as a network gets it.

    Raises:
      InputError: an image is smaller than the patch.
    """
    packed.check_patch(patch_size)

    def make(step: Any) -> tuple[np.ndarray, np.ndarray]:
        lr, hr = training_batch(
            packed,
            seed=seed,
            step=int(step),
            batch_size=batch_size,
            patch_size=patch_size,
            augment=augment,
        )
        return seen(lr, channels), wanted(hr, channels)

    def load(step: Any) -> tuple[Any, Any]:
        lr, hr = tf.numpy_function(make, [step], (tf.float32, tf.float32), stateful=False)
        lr.set_shape((batch_size, patch_size, patch_size, channels))
        side = patch_size * packed.scale
        hr.set_shape((batch_size, side, side, channels))
        return lr, hr

    steps = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
    return steps.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)
