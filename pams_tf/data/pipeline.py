"""Training batches as a `tf.data.Dataset`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.data.colour import seen, wanted
from pams_tf.data.packed import PackedPairs
from pams_tf.data.patches import training_crops


def training_dataset(
    packed: PackedPairs,
    *,
    seed: int,
    start_step: int,
    batch_size: int,
    patch_size: int,
    augment: bool = True,
    parts: Sequence[range] | None = None,
    channels: int = 3,
) -> tf.data.Dataset:
    """An endless dataset whose batch k is `training_crops(step=start_step + k)`.

    Args:
      parts: the parts of each batch that are wanted, all of one length; each is an element of its
        own, in this order. By default an element is a whole batch.
      channels: C: 3, or 1 for luma.

    Returns:
      Pairs of LR (N, p, p, C) and HR (N, s*p, s*p, C): uint8, which is a quarter of float32 to copy
      to a GPU, except for HR luma, which is float32 because it is not rounded.

    Raises:
      InputError: an image is smaller than the patch.
    """
    packed.check_patch(patch_size)
    taken = [range(batch_size)] if parts is None else list(parts)
    hr_type = np.uint8 if channels == 3 else np.float32

    def make(element: Any) -> tuple[np.ndarray, np.ndarray]:
        step, part = divmod(int(element), len(taken))
        lr, hr = training_crops(
            packed,
            seed=seed,
            step=step,
            batch_size=batch_size,
            patch_size=patch_size,
            augment=augment,
            part=taken[part],
        )
        return seen(lr, channels).astype(np.uint8), wanted(hr, channels).astype(hr_type)

    def load(element: Any) -> tuple[Any, Any]:
        lr, hr = tf.numpy_function(make, [element], (tf.uint8, hr_type), stateful=False)
        lr.set_shape((len(taken[0]), patch_size, patch_size, channels))
        side = patch_size * packed.scale
        hr.set_shape((len(taken[0]), side, side, channels))
        return lr, hr

    options = tf.data.Options()
    # There is nothing to tune, and whoever drops an iterator waits for the thread that tunes, up to
    # a minute.
    options.autotune.enabled = False
    elements = tf.data.Dataset.range(start_step * len(taken), np.iinfo(np.int64).max)
    loaded = elements.map(load, num_parallel_calls=2, deterministic=True)
    return loaded.prefetch(2 * len(taken)).with_options(options)
