"""Initial activation ranges: from the float network's activations (Eq. 4, maximum), or random."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from pams_tf.errors import InputError
from pams_tf.quantization import functional
from pams_tf.quantization.base import quantizers


class Observed(Protocol):
    """A network that exposes the tensor arriving at each of its sites: name -> symbolic tensor."""

    inputs: Any
    outputs: Any
    arriving: Mapping[str, Any]


def calibrate(
    student: keras.Model,
    observed: Observed,
    batches: Iterable[Any],
    *,
    only: Iterable[str] | None = None,
    percentile: float = 100.0,
    together: bool = False,
) -> None:
    """Set the ranges of `student`, each quantizer by its own rule (paper, Eq. 4).

    The activations are those of `observed`, a network with the same sites. Before fine-tuning this
    is the float teacher, so that no range depends on another that is not known yet.

    Example:
      >>> import numpy as np
      >>> import pams_tf
      >>> from pams_tf import models, quantization
      >>> teacher = models.build("edsr_nano", 2, blocks=1, features=4)
      >>> student = models.with_recipe(teacher, pams_tf.QuantizationRecipe(bits=8))
      >>> images = np.random.default_rng(1).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
      >>> quantization.calibrate(student, teacher, [images])
      >>> student.calibrated
      True

    Args:
      student: the network whose quantizers are set, in place.
      observed: the float network, or one with fewer quantizers.
      batches: LR images (N, H, W, C) float32 in [0, 255].
      only: names of the quantizers to set; all by default.
      percentile: use this percentile of each sample's values instead of its extremes; see
        `sample_ranges`.
      together: treat all batches as one step of the rule, so that every image counts equally. By
        default each batch is a step; with the paper's decay of 0.9997, the first batch then
        outweighs the next several hundred.

    Raises:
      InputError: there is no batch, the percentile is out of range, or the networks have different
        sites.

    Source: Li et al., ECCV 2020, Eq. 4.
    """
    if not 50 < percentile <= 100:
        raise InputError(f"percentile={percentile!r} is not possible; give one above 50 up to 100")
    names = None if only is None else set(only)
    targets = [q for q in quantizers(student) if names is None or q.name in names]
    if not targets:
        return
    strangers = [q.name for q in targets if q.name not in observed.arriving]
    if strangers:
        raise InputError(f"the observed network has no site {', '.join(strangers)}")
    probe = keras.Model(observed.inputs[0], [observed.arriving[q.name] for q in targets])

    channels = probe.input_shape[-1]

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, channels), tf.float32)])
    def ranges(lr: Any) -> list[tuple[Any, Any]]:
        tensors = probe(lr, training=False)
        # Keras unpacks a list with a single output.
        tensors = tensors if isinstance(tensors, list | tuple) else [tensors]
        return [functional.sample_ranges(tf.cast(x, tf.float32), percentile) for x in tensors]

    steps: Iterator[Any] = (ranges(lr) for lr in batches)
    if together:
        steps = _joined(list(steps))
    seen = False
    for step in steps:
        seen = True
        for quantizer, (minima, maxima) in zip(targets, step, strict=True):
            quantizer.observe_ranges(minima, maxima)
    if not seen:
        raise InputError("calibration needs at least one batch of images")


def random_ranges(student: keras.Model, seed: int, largest: float = 128.0) -> None:
    """Set each range of `student` at random, without looking at any image (paper, Table 5).

    Example:
      >>> import pams_tf
      >>> from pams_tf import models, quantization
      >>> student = models.build("edsr_nano", 2, pams_tf.QuantizationRecipe(), blocks=1)
      >>> quantization.random_ranges(student, seed=1)
      >>> [round(quantizer.range["alpha"], 1) for quantizer in quantization.quantizers(student)]
      [65.5, 121.7, 18.5]

    Args:
      student: the network whose quantizers are set, in place; one draw each, in data-flow order.
      seed: the same seed gives the same ranges.
      largest: ranges are drawn uniformly from [0, largest]; 128 in the paper.

    Source: Li et al., ECCV 2020, Table 5.
    """
    rng = np.random.default_rng(seed)
    for quantizer in quantizers(student):
        quantizer.set_range(float(rng.uniform(0.0, largest)))


def _joined(steps: list[list[tuple[Any, Any]]]) -> Iterator[list[tuple[Any, Any]]]:
    """Join the samples of all steps into one step; yields nothing if there are none."""
    if steps:
        yield [
            tuple(tf.concat(ends, axis=0) for ends in zip(*ranges, strict=True))
            for ranges in zip(*steps, strict=True)
        ]
