"""Batches of aligned LR and HR crops. A batch is a pure function of (seed, step)."""

from functools import lru_cache

import numpy as np

from pams_tf.data.packed import PackedPairs


def training_batch(
    packed: PackedPairs,
    *,
    seed: int,
    step: int,
    batch_size: int,
    patch_size: int,
    augment: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """The batch of one step: `training_crops` of all its samples, as a network takes them.

    Returns:
      LR (N, p, p, 3) and HR (N, s*p, s*p, 3), float32 in [0, 255].
    """
    lr, hr = training_crops(
        packed,
        seed=seed,
        step=step,
        batch_size=batch_size,
        patch_size=patch_size,
        augment=augment,
    )
    return lr.astype(np.float32), hr.astype(np.float32)


def training_crops(
    packed: PackedPairs,
    *,
    seed: int,
    step: int,
    batch_size: int,
    patch_size: int,
    augment: bool = True,
    part: range | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Consecutive samples of the batch of one step.

    Each epoch draws every image once, in a new random order. Crops are taken at random positions;
    with `augment`, each is also flipped and rotated to one of its eight orientations. A share of
    the crops is of drawn pictures if `packed.graphics` says so.

    Args:
      seed, step: non-negative integers; the same two always give the same batch.
      patch_size: side of the LR crop in pixels; the HR crop is `scale` times as large.
      part: which samples of the batch; all by default.

    Returns:
      LR (N, p, p, 3) and HR (N, s*p, s*p, 3), uint8, of the N samples.
    """
    scale, size = packed.scale, patch_size
    part = range(batch_size) if part is None else part
    rng, graphics = _generator(seed, step), packed.graphics
    lr = np.empty((len(part), size, size, 3), np.uint8)
    hr = np.empty((len(part), size * scale, size * scale, 3), np.uint8)
    for i in range(part.stop):  # earlier ones too, whose random numbers come first
        epoch, position = divmod(step * batch_size + i, len(packed))
        index = _order(seed, epoch, len(packed))[position]
        height, width = packed.shapes[index]
        top = int(rng.integers(height - size + 1))
        left = int(rng.integers(width - size + 1))
        view = int(rng.integers(8)) if augment else 0
        drawn = None
        if graphics and rng.random() < graphics.share:
            drawn = graphics.crop(rng, size)
        if i not in part:
            continue
        place = i - part.start
        if drawn is not None:
            lr[place], hr[place] = (_turned(crop, view) for crop in drawn)
            continue
        lr[place] = _turned(packed.lr(index)[top : top + size, left : left + size], view)
        top, left, side = top * scale, left * scale, size * scale
        hr[place] = _turned(packed.hr(index)[top : top + side, left : left + side], view)
    return lr, hr


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    # The high bit separates these random streams from those of the steps.
    return _generator(seed, epoch | 1 << 63).permutation(count)


def _generator(seed: int, stream: int) -> np.random.Generator:
    # As uint64: NumPy would convert large integers to floats, which lose their low bits.
    return np.random.Generator(np.random.Philox(key=np.array([seed, stream], np.uint64)))


def _turned(crop: np.ndarray, view: int) -> np.ndarray:
    """One of the eight orientations of a square: two flips and a transposition."""
    if view & 1:
        crop = crop[:, ::-1]
    if view & 2:
        crop = crop[::-1]
    return crop.transpose(1, 0, 2) if view & 4 else crop
