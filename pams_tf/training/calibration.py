"""Initial ranges: from the float network's activations (Eq. 4, or the maximum), or at random."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.errors import InputError
from pams_tf.models import SuperResolution
from pams_tf.quantization import functional
from pams_tf.training.distillation import quantizers


def calibrate(
    student: SuperResolution,
    observed: SuperResolution,
    batches: Iterable[Any],
    *,
    only: Iterable[str] | None = None,
    percentile: float = 100.0,
) -> None:
    """Set the alphas of `student`, each by its own rule, one step a batch.

    The activations are taken from `observed`, a network with the same sites: the float teacher
    before fine-tuning, so that no range depends on another that is not yet known.

    Args:
      student: its quantizers are set, in place.
      observed: float network, or one with fewer quantizers.
      batches: LR images (N, H, W, 3) float32 in [0, 255]; each a step.
      only: names of the quantizers to set; all by default.
      percentile: of each sample's values, in the place of its extremes; see `sample_ranges`.

    Raises:
      InputError: no batch, a percentile out of range, or the networks have different sites.
    """
    if not 50 < percentile <= 100:
        raise InputError(f"percentile={percentile!r} is not possible; give one above 50 up to 100")
    names = {q.name for q in quantizers(student)} if only is None else set(only)
    targets = [q for q in quantizers(student) if q.name in names]
    if not targets:
        return
    strangers = [q.name for q in targets if q.name not in observed.arriving]
    if strangers:
        raise InputError(f"the observed network has no site {', '.join(strangers)}")
    probe = keras.Model(observed.inputs[0], [observed.arriving[q.name] for q in targets])

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)])
    def ranges(lr: Any) -> list[tuple[Any, Any]]:
        tensors = probe(lr, training=False)
        # Keras unpacks a list of one output.
        tensors = tensors if isinstance(tensors, list | tuple) else [tensors]
        return [functional.sample_ranges(tf.cast(x, tf.float32), percentile) for x in tensors]

    seen = False
    for lr in batches:
        seen = True
        for quantizer, (minima, maxima) in zip(targets, ranges(lr), strict=True):
            quantizer.observe_ranges(minima, maxima)
    if not seen:
        raise InputError("calibration needs at least one batch of images")


def random_ranges(student: SuperResolution, seed: int, largest: float = 128.0) -> None:
    """Set each range of `student` by chance, without looking at an image (paper, Table 5).

    Args:
      student: its quantizers are set, in place; in the order of the data, one draw each.
      seed: gives the same ranges each time.
      largest: ranges are uniform in [0, largest]; 128 in the paper.
    """
    rng = np.random.default_rng(seed)
    for quantizer in quantizers(student):
        quantizer.set_range(float(rng.uniform(0.0, largest)))
