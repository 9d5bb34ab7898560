"""Distillation: a float teacher guides the quantized student."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from pams_tf.errors import InputError
from pams_tf.models import SuperResolution
from pams_tf.quantization import quantizers
from pams_tf.training.descent import descend
from pams_tf.training.relative import is_relative
from pams_tf.training.settings import TARGETS
from pams_tf.training.skt import skt_loss


@keras.saving.register_keras_serializable("pams_tf")
class Distiller(keras.Model):
    """Trains a student on L1 + skt_weight * SKT (paper, Eq. 7); the teacher is frozen.

    Losses of the student's own layers (PACT's decay) are added.

    Alphas have their own optimizer, because they are as large as activations (hundreds), while
    weights are hundredths. Learned clips of kernels are updated by the alphas' optimizer if its
    rate is relative, see `RelativeAdam`, and by that of the weights otherwise.

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
      skt_weight: 1000 in the paper; 0 trains without SKT.
      target: what L1 compares the student's image with: "hr", the HR image, or "teacher", the
        teacher's image; the HR images of the batches are not read then.

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
        target: str = "hr",
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
        if skt_weight and student.feature is None:
            raise InputError(
                f"{student.described} has no feature for SKT: no convolution stands before its "
                "enlargement but the first; give skt_layer, or skt_weight=0"
            )
        if target not in TARGETS:
            raise InputError(f"target={target!r} is not possible; choose {' or '.join(TARGETS)}")
        teacher.trainable = False
        self.skt_weight = skt_weight
        self.target = target
        self._student_with_feature = _with_feature(student, skt_weight)
        self._teacher_with_feature = _with_feature(teacher, skt_weight)
        alphas = {id(variable) for q in quantizers(student) for variable in q.trainable_variables}
        trainable = student.trainable_variables
        self.alpha_variables = [v for v in trainable if id(v) in alphas]
        self.weight_variables = [v for v in trainable if id(v) not in alphas]
        self._clips = {id(layer.clip) for layer in student.layers if hasattr(layer, "clip")}
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
        if is_relative(alpha_optimizer):
            clips = [v for v in self.weight_variables if id(v) in self._clips]
            self.alpha_variables += clips
            self.weight_variables = [v for v in self.weight_variables if id(v) not in self._clips]
        self.optimizer.build(self.weight_variables)
        self.alpha_optimizer.build(self.alpha_variables)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "student": keras.saving.serialize_keras_object(self.student),
            "teacher": keras.saving.serialize_keras_object(self.teacher),
            "skt_weight": self.skt_weight,
            "target": self.target,
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
        sr, *feature = self._student_with_feature(lr, training=True)
        goal = hr
        if self.skt_weight or self.target == "teacher":  # otherwise the teacher is not run at all
            image, *taught = self._teacher_with_feature(lr, training=False)
            goal = tf.cast(image, tf.float32) if self.target == "teacher" else hr
        l1 = tf.reduce_mean(tf.abs(tf.cast(sr, tf.float32) - tf.stop_gradient(goal)))
        skt = tf.constant(0.0)
        if self.skt_weight:
            skt = skt_loss(feature[0], tf.stop_gradient(taught[0]))
        loss = tf.add_n([l1 + self.skt_weight * skt, *self.student.losses])
        return {"loss": loss, "l1": l1, "skt": skt}

    def train_step(self, data: tuple[Any, ...]) -> dict[str, Any]:
        """One step on (lr, hr), both (N, H, W, 3) in [0, 255]."""
        lr, hr, _ = keras.utils.unpack_x_y_sample_weight(data)  # `train_on_batch` adds a None
        for name, value in descend(self, lr, hr).items():
            self.loss_means[name].update_state(value)
        return {name: metric.result() for name, metric in self.loss_means.items()}


def _with_feature(network: SuperResolution, skt_weight: float) -> Callable[..., list[Any]]:
    """A function of (lr, training) -> [image], and the feature behind it if SKT needs it."""
    model = network.with_feature if skt_weight else network

    def run(lr: Any, training: bool) -> list[Any]:
        outputs = model(lr, training=training)
        return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

    return run
