"""Training a float network on the L1 loss."""

from typing import Any

import keras
import tensorflow as tf

from pams_tf.models import SuperResolution
from pams_tf.training.image_loss import l1


class Regression:
    """A float network and its optimizer, as a `descent.Trainee`.

    Args:
      network: what is trained, (N, h, w, 3) in [0, 255] -> (N, s*h, s*w, 3).
      optimizer: updates its variables.
      teacher: a network of the same scale whose images are a second goal; it does not change.
      output_weight: the weight of the L1 to them.
      luma_weight: see `image_loss.l1`.
      clip_norm: longest gradient; 0 for no limit.
    """

    def __init__(
        self,
        network: SuperResolution,
        optimizer: keras.optimizers.Optimizer,
        *,
        teacher: SuperResolution | None = None,
        output_weight: float = 0.0,
        luma_weight: float = 0.0,
        clip_norm: float = 0.0,
    ) -> None:
        self._network = network
        self._teacher = teacher
        self._output_weight = output_weight
        self._luma_weight = luma_weight
        self.clip_norm = clip_norm
        self.jit_compile = bool(tf.config.list_physical_devices("GPU"))
        self.updates = [(optimizer, network.trainable_variables)]
        optimizer.build(network.trainable_variables)

    def losses(self, lr: Any, hr: Any) -> dict[str, Any]:
        """The loss over (lr, hr), both (N, H, W, 3) in [0, 255]."""
        lr, hr = (tf.cast(image, tf.float32) for image in (lr, hr))
        sr = tf.cast(self._network(lr, training=True), tf.float32)
        loss = l1(sr, hr, self._luma_weight)
        if self._teacher is not None:
            taught = tf.stop_gradient(tf.cast(self._teacher(lr, training=False), tf.float32))
            loss += self._output_weight * l1(sr, taught, self._luma_weight)
        return {"loss": loss}
