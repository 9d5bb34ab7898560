"""Distillation: a float teacher guides the quantized student."""

from typing import Any

import keras
import tensorflow as tf

from pams_tf.errors import InputError
from pams_tf.models import SuperResolution
from pams_tf.quantization import quantizers
from pams_tf.training.descent import descend
from pams_tf.training.skt import skt_loss


@keras.saving.register_keras_serializable("pams_tf")
class Distiller(keras.Model):
    """Trains a student on L1 + skt_weight * SKT (paper, Eq. 7); the teacher is frozen.

    Losses of the student's own layers (PACT's decay) are added.

    Alphas have their own optimizer, because they are as large as activations (hundreds), while
    weights are hundredths.

    Example:
      >>> import keras, pams_tf
      >>> teacher = pams_tf.load("edsr_nano_x3")
      >>> student = pams_tf.quantize(teacher, pams_tf.QuantizationRecipe(bits=4))
      >>> distiller = pams_tf.Distiller(student, teacher)
      >>> distiller.compile(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-2))
      >>> # distiller.fit(batches), of (LR, HR) pairs, trains `student`.

    Args:
      student: the network with quantizers, float32 (N, H, W, 3) in [0, 255] -> (N, s*H, s*W, 3).
      teacher: the float network of the same architecture; its weights do not change.
      skt_weight: 1000 in the paper; 0 trains without a teacher.

    Returns:
      A Keras model to compile with two optimizers and to fit.

    Raises:
      InputError: student and teacher are different networks.

    Source: Li et al., ECCV 2020, Eq. 6 and 7.
    """

    def __init__(
        self,
        student: SuperResolution,
        teacher: SuperResolution,
        skt_weight: float = 1000.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if student.identity != teacher.identity:
            raise InputError(
                f"the student is {student.described}, the teacher {teacher.described}; give two "
                "networks of the same architecture"
            )
        self.student = student
        self.teacher = teacher
        teacher.trainable = False
        self.skt_weight = skt_weight
        self._student_with_feature = student.with_feature
        # Without SKT the teacher is not asked at all.
        self._feature = keras.Model(teacher.inputs[0], teacher.feature) if skt_weight else None
        alphas = {id(q.alpha) for q in quantizers(student)}
        trainable = student.trainable_variables
        self.alpha_variables = [v for v in trainable if id(v) in alphas]
        self.weight_variables = [v for v in trainable if id(v) not in alphas]
        self.loss_means = {name: keras.metrics.Mean(name) for name in ("loss", "l1", "skt")}

    def compile(
        self, optimizer: keras.optimizers.Optimizer, alpha_optimizer: Any, **kwargs: Any
    ) -> None:
        """Set both optimizers, and enable XLA only on a GPU unless told otherwise.

        On a GPU, XLA fuses the quantizers; on a CPU, it slows down the convolutions.
        """
        kwargs.setdefault("jit_compile", bool(tf.config.list_physical_devices("GPU")))
        super().compile(optimizer=optimizer, **kwargs)
        self.alpha_optimizer = alpha_optimizer
        self.optimizer.build(self.weight_variables)
        self.alpha_optimizer.build(self.alpha_variables)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "student": keras.saving.serialize_keras_object(self.student),
            "teacher": keras.saving.serialize_keras_object(self.teacher),
            "skt_weight": self.skt_weight,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Distiller":
        networks = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("student", "teacher")
        }
        return cls(**{**config, **networks})

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self.loss_means.values())

    def call(self, lr: Any, training: bool = False) -> Any:
        return self.student(lr, training=training)

    @property
    def updates(self) -> list[tuple[Any, list[keras.Variable]]]:
        """The optimizers, each with the variables that it updates."""
        return [
            (self.optimizer, self.weight_variables),
            (self.alpha_optimizer, self.alpha_variables),
        ]

    def losses(self, lr: Any, hr: Any) -> dict[str, Any]:
        """The means over (lr, hr), both (N, H, W, 3) in [0, 255]: "loss" and its parts."""
        lr, hr = (tf.cast(image, tf.float32) for image in (lr, hr))
        sr, feature = self._student_with_feature(lr, training=True)
        l1 = tf.reduce_mean(tf.abs(tf.cast(sr, tf.float32) - hr))
        skt = tf.constant(0.0)
        if self._feature is not None:
            target = self._feature(lr, training=False)
            skt = skt_loss(feature, tf.stop_gradient(target))
        loss = tf.add_n([l1 + self.skt_weight * skt, *self.student.losses])
        return {"loss": loss, "l1": l1, "skt": skt}

    def train_step(self, data: tuple[Any, ...]) -> dict[str, Any]:
        """One step on (lr, hr), both (N, H, W, 3) in [0, 255]."""
        lr, hr, _ = keras.utils.unpack_x_y_sample_weight(data)  # `train_on_batch` adds a None
        for name, value in descend(self, lr, hr).items():
            self.loss_means[name].update_state(value)
        return {name: metric.result() for name, metric in self.loss_means.items()}
