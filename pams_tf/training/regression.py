"""Training a float network on the L1 loss."""

from typing import Any

import keras
import tensorflow as tf

from pams_tf.models import SuperResolution


class Regression:
    """A float network and its optimizer, as a `descent.Trainee`."""

    def __init__(self, network: SuperResolution, optimizer: keras.optimizers.Optimizer) -> None:
        self._network = network
        self.jit_compile = bool(tf.config.list_physical_devices("GPU"))
        self.updates = [(optimizer, network.trainable_variables)]
        optimizer.build(network.trainable_variables)

    def losses(self, lr: Any, hr: Any) -> dict[str, Any]:
        """The mean absolute error over (lr, hr), both (N, H, W, 3) in [0, 255]."""
        lr, hr = (tf.cast(image, tf.float32) for image in (lr, hr))
        sr = self._network(lr, training=True)
        return {"loss": tf.reduce_mean(tf.abs(tf.cast(sr, tf.float32) - hr))}
