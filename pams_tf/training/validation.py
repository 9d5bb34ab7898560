"""Validation of the network that is being trained, on the replicas that train it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.data import datasets
from pams_tf.errors import InputError
from pams_tf.evaluation.metrics import psnr_y
from pams_tf.litert.interpreter import to_image
from pams_tf.models import SuperResolution
from pams_tf.training.replicas import Replicas, choose_replicas
from pams_tf.training.settings import RunSettings


def validation(
    network: SuperResolution, settings: RunSettings, replicas: Replicas | None = None
) -> Callable[[], float]:
    """A function that returns the current PSNR-Y (dB) of `network` on the validation images.

    Each replica takes every n-th image; all processes call the function and get the same number.

    Args:
      replicas: those in whose scope the network was built; by default one device.

    Raises:
      InputError: the images cannot be used; so does the function, which names the image.
    """
    replicas = replicas or choose_replicas("one")
    pairs = datasets.find_or_sample(settings.valid_data, settings.scale, "valid")
    forward = _forward(network, replicas)

    def validate() -> float:
        scores = np.zeros(len(pairs))
        for first in range(replicas.local.start, len(pairs), replicas.count):
            indices = range(first, min(first + len(replicas.local), len(pairs)))
            images = [pairs.load(index) for index in indices]
            for index, (_, hr), sr in zip(
                indices, images, forward([lr for lr, _ in images]), strict=True
            ):
                try:
                    scores[index] = psnr_y(to_image(sr), hr, settings.scale)
                except InputError as error:
                    raise InputError(f"{pairs.name}/{pairs.names[index]}: {error}") from error
        return float(np.mean(replicas.summed(scores)))

    return validate


def _forward(
    network: SuperResolution, replicas: Replicas
) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """A function of up to one image for each replica of this process, uint8 (h, w, 3)."""
    places = len(replicas.local)
    signature = [[tf.TensorSpec((1, None, None, 3), tf.float32)] * places]

    @tf.function(input_signature=signature)
    def forward(images: Sequence[Any]) -> Any:
        def one() -> Any:
            image = images[replicas.local_index()]
            return tf.cast(network(image, training=False), tf.float32)

        return replicas.strategy.experimental_local_results(replicas.strategy.run(one))

    def of_images(images: Sequence[np.ndarray]) -> list[np.ndarray]:
        filled = [images[min(place, len(images) - 1)] for place in range(places)]
        results = forward([tf.constant(image[None], tf.float32) for image in filled])
        return [result.numpy()[0] for result in results[: len(images)]]

    return of_images
