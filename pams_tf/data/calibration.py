"""LR images for calibrating activation ranges."""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

import numpy as np

from pams_tf.data import datasets
from pams_tf.data.colour import seen
from pams_tf.data.graphics import Graphics
from pams_tf.data.packed import PackedPairs, pack
from pams_tf.data.patches import training_batch
from pams_tf.errors import InputError

Images = Iterable[Any] | str | os.PathLike[str] | None
SIDE = 128
"""Largest side of the centre crop taken from a photograph, in LR pixels."""


def lr_batches(images: Images, scale: int, channels: int = 3) -> Iterator[np.ndarray]:
    """The calibration images of `quantize` and `convert`, as batches of LR images.

    Args:
      images: None for the built-in photographs; a folder of HR images, which are downscaled by
        bicubic interpolation (see `datasets.find`); one array, (N, H, W, 3) or (H, W, 3); or an
        iterable of such arrays. Arrays are LR images in [0, 255], uint8 or float.
      scale: the upscaling factor, by which photographs are downscaled.
      channels: 3, or 1 for luma; arrays are RGB all the same, or have one channel already.

    Yields:
      float32 (N, H, W, channels) in [0, 255]: one array at a time, or the centre crop of one
      photograph at a time, at most 128x128 LR pixels.

    Raises:
      InputError: no such folder, no image in it, or an array of the wrong shape.
    """
    if images is None or isinstance(images, str | os.PathLike):
        pairs = datasets.find_or_sample(images, scale, "train")
        for index in range(len(pairs)):
            yield seen(_middle(pairs.load(index)[0])[None], channels)
        return
    arrays = [images] if hasattr(images, "shape") else images
    for array in arrays:
        batch = np.asarray(array, np.float32)
        batch = batch[None] if batch.ndim == 3 else batch
        if batch.ndim != 4 or batch.shape[-1] not in (3, channels) or not batch.size:
            raise InputError(
                f"calibration images of shape {batch.shape} cannot be used; give LR images "
                "(N, H, W, 3) or (H, W, 3) in [0, 255]"
            )
        yield batch if batch.shape[-1] == channels else seen(batch, channels)


def training_batches(
    packed: PackedPairs, *, seed: int, batch_size: int, patch_size: int, channels: int = 3
) -> Iterator[np.ndarray]:
    """Endless LR batches (N, p, p, C): the same that training draws, from step 0."""
    for step in count():
        lr, _ = training_batch(
            packed, seed=seed, step=step, batch_size=batch_size, patch_size=patch_size
        )
        yield seen(lr, channels)


def packed_images(
    data: str | None, scale: int, patch_size: int, graphics: float = 0.0
) -> PackedPairs:
    """The training images of a folder, or the built-in photographs if None, decoded once.

    Args:
      graphics: share of the crops that are of drawn pictures instead, see `data.graphics`.

    Raises:
      InputError: the images cannot be used, or one is smaller than a patch.
    """
    drawn = Graphics(graphics, scale, patch_size) if graphics else None
    packed = pack(datasets.find_or_sample(data, scale, "train"))
    packed.check_patch(patch_size)
    return dataclasses.replace(packed, graphics=drawn)


def packed_lr_images(data: str, scale: int, patch_size: int) -> PackedPairs:
    """The training images of a folder for a network that learns from another one's images.

    The LR images of a set that has them; the pictures themselves of any other folder, as LR images.

    Raises:
      InputError: the images cannot be used, or one is smaller than a patch.
    """
    pairs = datasets.find(data, scale)
    if all(lr is None for lr in pairs.lr):
        pairs = dataclasses.replace(pairs, scale=1, lr=pairs.hr)
    packed = pack(pairs)
    packed.check_patch(patch_size)
    return packed


def _middle(image: np.ndarray) -> np.ndarray:
    top, left = (max(0, (length - SIDE) // 2) for length in image.shape[:2])
    return image[top : top + SIDE, left : left + SIDE]
