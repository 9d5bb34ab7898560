"""Kernels of a student fitted to what the float network computes, before any training."""

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.errors import InputError
from pams_tf.models.network import SuperResolution
from pams_tf.models.results import Convolved
from pams_tf.quantization import QuantConv2D, functional

PLACES = 65_536
"""About as many places of the images are looked at; more say nearly the same."""


def fit_kernels(student: SuperResolution, network: SuperResolution, batches: Iterable[Any]) -> None:
    """Round the kernels of `student` so that each convolution computes what the float one does.

    Rounding each weight to the nearest code moves the mean of a channel and adds up along the
    network. Here each kernel is fitted in turn, to the inputs that the student has at that place
    and the results that the float network has there; see `functional.fitted_weights`. Biases change
    with it. Nothing else does, and no operator is added.

    A kernel that several places share is left as it is.

    Example:
      >>> import numpy as np
      >>> import pams_tf
      >>> from pams_tf import models
      >>> network = models.build("plain_small", 2, convolutions=2, features=4)
      >>> images = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
      >>> recipe = pams_tf.QuantizationRecipe(bits=4, scope="all")
      >>> student = pams_tf.quantize(network, recipe, images)
      >>> error = np.mean((student(images) - network(images)) ** 2)
      >>> models.fit_kernels(student, network, [images])
      >>> bool(np.mean((student(images) - network(images)) ** 2) < error)
      True

    Args:
      student: a calibrated student whose convolutions have the weights of `network`; changed in
        place.
      network: the float network.
      batches: LR images (N, H, W, C) float32 in [0, 255].

    Raises:
      InputError: the student has no integer weights or those of DoReFa, which have a grid of their
        own, or there is no batch.

    Source: docs/method.md; Frantar et al., "GPTQ", ICLR 2023, Section 3.
    """
    if student.recipe is None or not student.recipe.fits_kernels:
        raise InputError(
            "kernels can be fitted for methods pams, pact and tflite with at most 8 bits; leave "
            "the initial weights as they are in the teacher"
        )
    images = list(batches)
    if not images:
        raise InputError("fitting kernels needs at least one batch of images")
    places = sum(math.prod(np.shape(lr)[:3]) for lr in images)
    every = max(1, round(math.sqrt(places / PLACES)))
    for result in _convolutions(student):
        layer = result.layer
        original = network.get_layer(layer.name)
        inputs, cross = _moments(
            layer,
            keras.Model(student.inputs[0], result.source.values),
            keras.Model(network.inputs[0], original.input),
            images,
            every,
        )
        kernel, bias = original.kernel.numpy(), original.bias.numpy()
        kernel, bias, limits = _fitted(kernel, bias, inputs, cross, layer)
        layer.kernel.assign(kernel)
        layer.bias.assign(bias)
        layer.set_clip(limits)


def _convolutions(student: SuperResolution) -> list[Convolved]:
    """The convolutions with a kernel of their own, in the network's order."""
    results = list(dict.fromkeys(site.result for site in student.convolutions))
    layers = [result.layer for result in results]
    return [result for result in results if layers.count(result.layer) == 1]


def _moments(
    layer: QuantConv2D, student: keras.Model, network: keras.Model, images: list[Any], every: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of q q^T and q x^T, (G, K + 1, K + 1): q the student's inputs, x the network's.

    The sums are over every n-th place of the images in each direction.
    """

    def moments(lr: Any) -> Any:
        q, x = (_patches(layer, model(lr, training=False), every) for model in (student, network))
        return tf.cast(tf.stack([tf.matmul(q, z, transpose_a=True) for z in (q, x)]), tf.float64)

    lr_images = tf.TensorSpec((None, *student.input_shape[1:]), tf.float32)
    traced = tf.function(moments).get_concrete_function(lr_images)
    inputs, cross = sum(traced(tf.constant(lr, tf.float32)).numpy() for lr in images)
    return inputs, cross


def _patches(layer: QuantConv2D, x: Any, every: int) -> Any:
    """What the kernel of each group sees at each place, and 1: (G, places, K + 1)."""
    rates = layer.dilation_rate
    strides = [every * stride for stride in layer.strides]
    patches = tf.image.extract_patches(
        tf.cast(x, tf.float32),
        [1, *layer.kernel_size, 1],
        [1, *strides, 1],
        [1, *rates, 1],
        layer.padding.upper(),
    )
    height, width = layer.kernel_size
    depth = x.shape[-1] // layer.groups
    patches = tf.reshape(patches, (-1, height * width, layer.groups, depth))
    patches = tf.transpose(patches, (2, 0, 1, 3))
    patches = tf.reshape(patches, (layer.groups, -1, height * width * depth))
    return tf.concat([patches, tf.ones_like(patches[..., :1])], axis=-1)


def _fitted(
    kernel: np.ndarray, bias: np.ndarray, inputs: np.ndarray, cross: np.ndarray, layer: QuantConv2D
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernel, bias and the range of each output channel."""
    *size, depth, filters = kernel.shape
    weights = np.concatenate([kernel.reshape(-1, filters), bias[None]]).astype(np.float64)
    groups = np.split(weights, layer.groups, axis=1)
    fitted = [
        functional.fitted_weights(
            w, q, x, layer.qmax, per_channel=layer.per_channel, free_range=layer.clip is not None
        )
        for w, q, x in zip(groups, inputs, cross, strict=True)
    ]
    weights, limits = (np.concatenate(parts, axis=-1) for parts in zip(*fitted, strict=True))
    return weights[:-1].reshape(*size, depth, filters), weights[-1], limits
