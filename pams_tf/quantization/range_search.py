"""Initial activation ranges with the smallest error of the enlarged images."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.errors import InputError
from pams_tf.quantization import functional
from pams_tf.quantization.base import SMALLEST_ALPHA, quantizers
from pams_tf.quantization.calibration import Observed


def search_ranges(student: keras.Model, observed: Observed, batches: Iterable[Any]) -> None:
    """Set each range of `student` to that with the smallest error of the enlarged images.

    What the error of a value does to the image is told by the gradient of the float network: an
    error e where the image has the squared gradient g adds e**2 * g to the sum of its squared
    errors, as long as errors are small and independent. So each range is searched for the smallest
    sum of e**2 * g, see `functional.search`. One backward pass gives g for all values: the mean of
    squared gradients of the image times random signs is the sum of the squared gradients of its
    pixels. This weighs channels by what is made of them.

    Example:
      >>> import numpy as np
      >>> import pams_tf
      >>> from pams_tf import models, quantization
      >>> teacher = models.build("edsr_nano", 2, blocks=1, features=4)
      >>> student = models.with_recipe(teacher, pams_tf.QuantizationRecipe(bits=4))
      >>> images = np.random.default_rng(1).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
      >>> quantization.search_ranges(student, teacher, [images])
      >>> student.calibrated
      True

    Args:
      student: the network whose quantizers are set, in place.
      observed: the float network, which has the same sites.
      batches: LR images (N, H, W, C) float32 in [0, 255].

    Raises:
      InputError: there is no batch.

    Source: docs/method.md; squared gradients in the place of second derivatives as in LeCun et al.,
    "Optimal Brain Damage", NIPS 1989.
    """
    targets = quantizers(student)
    if not targets:
        return
    images = [lr[None] for batch in batches for lr in batch]  # one at a time, to save memory
    if not images:
        raise InputError("calibration needs at least one batch of images")
    probe = keras.Model(
        observed.inputs[0], [*(observed.arriving[q.name] for q in targets), observed.outputs[0]]
    )
    lr_images = tf.TensorSpec((None, None, None, observed.inputs[0].shape[-1]), tf.float32)
    ceilings = [np.inf if q.ceiling is None else q.ceiling for q in targets]

    def within(tensors: list[Any]) -> list[Any]:
        pairs = zip(tensors, ceilings, strict=True)
        return [tf.clip_by_value(tf.cast(x, tf.float32), -end, end) for x, end in pairs]

    @tf.function(input_signature=[lr_images])
    def extremes(lr: Any) -> Any:
        tensors = within(probe(lr, training=False)[:-1])
        return tf.stack([tf.stack([tf.reduce_min(x), tf.reduce_max(x)]) for x in tensors])

    @tf.function(
        input_signature=[
            lr_images,
            tf.TensorSpec((len(targets), 2), tf.float64),
            tf.TensorSpec((), tf.int32),
        ]
    )
    def histograms(lr: Any, ends: Any, seed: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(lr)
            *tensors, image = probe(lr, training=False)
            signs = tf.sign(tf.random.stateless_uniform(tf.shape(image), (seed, 0), -1.0, 1.0))
            error = tf.reduce_sum(signs * tf.cast(image, tf.float32))
        gradients = tape.gradient(error, tensors, unconnected_gradients="zero")
        weights = [tf.square(tf.cast(g, tf.float32)) for g in gradients]
        seen = zip(within(tensors), weights, tf.unstack(ends), strict=True)
        return tf.stack([functional.histogram_weights(x, w, *tf.unstack(e)) for x, w, e in seen])

    seen = np.stack([extremes(lr) for lr in images]).astype(np.float64)
    low, high = seen[..., 0].min(0), seen[..., 1].max(0)
    high = np.where(high > low, high, low + SMALLEST_ALPHA)
    ends = np.stack([low, high], axis=1)
    weights = sum(histograms(lr, ends, seed).numpy() for seed, lr in enumerate(images))
    for quantizer, (low, high), found in zip(targets, ends, weights, strict=True):
        quantizer.fit_range(functional.histogram(low, high, found))
