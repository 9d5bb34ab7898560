"""Validation of the network that is being trained, on the replicas that train it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.data import colour
from pams_tf.data.datasets import ImagePairs
from pams_tf.errors import InputError
from pams_tf.evaluation.metrics import psnr_y
from pams_tf.evaluation.upscaler import keras_upscale, with_colours
from pams_tf.litert.interpreter import to_image
from pams_tf.models import SuperResolution
from pams_tf.training.replicas import Replicas, choose_replicas


def validation(
    network: SuperResolution,
    pairs: ImagePairs,
    replicas: Replicas | None = None,
    teacher: SuperResolution | None = None,
) -> Callable[[], float]:
    """A function that returns the current PSNR-Y (dB) of `network` on a set of images.

    Each replica takes every n-th image; all processes call the function and get the same number.

    Args:
      replicas: those in whose scope the network was built; by default one device.
      teacher: the network whose images are the goal, instead of the HR images.

    Raises:
      InputError: the function raises it if an image cannot be used, which it names.
    """
    replicas = replicas or choose_replicas("one")
    load = pairs.load if teacher is None else _taught(pairs, teacher)
    upscale = _upscaler(network, replicas)

    def validate() -> float:
        scores = np.zeros(len(pairs))
        for first in range(replicas.local.start, len(pairs), replicas.count):
            indices = range(first, min(first + len(replicas.local), len(pairs)))
            images = [load(index) for index in indices]
            results = upscale([lr for lr, _ in images])
            for index, (_, goal), sr in zip(indices, images, results, strict=True):
                try:
                    scores[index] = psnr_y(sr, goal, pairs.scale)
                except InputError as error:
                    raise InputError(f"{pairs.name}/{pairs.names[index]}: {error}") from error
        return float(np.mean(replicas.summed(scores)))

    return validate


def _taught(
    pairs: ImagePairs, teacher: SuperResolution
) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """A function of an index: an LR image, and what the teacher makes of it, which is kept."""
    upscale = keras_upscale(teacher)
    images: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def load(index: int) -> tuple[np.ndarray, np.ndarray]:
        if index not in images:
            lr, _ = pairs.load(index)
            images[index] = lr, upscale(lr)
        return images[index]

    return load


def _upscaler(
    network: SuperResolution, replicas: Replicas
) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """A function of up to one RGB image for each replica of this process, uint8 (h, w, 3)."""
    places, channels = len(replicas.local), network.channels
    signature = [[tf.TensorSpec((1, None, None, channels), tf.float32)] * places]

    @tf.function(input_signature=signature)
    def forward(images: Sequence[Any]) -> Any:
        def one() -> Any:
            image = images[replicas.local_index()]
            return tf.cast(network(image, training=False), tf.float32)

        return replicas.strategy.experimental_local_results(replicas.strategy.run(one))

    def upscale(images: Sequence[np.ndarray]) -> list[np.ndarray]:
        filled = [images[min(place, len(images) - 1)] for place in range(places)]
        results = forward([tf.constant(colour.seen(image, channels)[None]) for image in filled])
        enlarged = [to_image(result.numpy()[0]) for result in results[: len(images)]]
        if channels == 3:
            return enlarged
        return [with_colours(y, lr) for y, lr in zip(enlarged, images, strict=True)]

    return upscale
