"""Distillation: a float teacher guides the quantized student."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.errors import InputError
from pams_tf.models import SuperResolution
from pams_tf.quantization import PamsEndsQuantizer, QuantConv2D, kernels_off_grid, quantizers
from pams_tf.quantization.functional import overflow
from pams_tf.training.descent import AGREEING, descend
from pams_tf.training.image_loss import l1
from pams_tf.training.relative import is_relative
from pams_tf.training.settings import TARGETS
from pams_tf.training.skt import skt_loss

_SETTINGS = (
    "skt_weight", "target", "luma_weight", "output_weight", "overflow_weight", "damping",
    "damping_steps", "clip_norm",
)  # fmt: skip


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
      luma_weight: weight of the luma in L1, see `image_loss.l1`; 0 in the paper.
      output_weight: weight of a second L1, to the teacher's image, beside that to the HR image.
      overflow_weight: weight of the loss on activations beyond their ranges, whose gradient counts
        only where it has the sign of that of everything else; see `functional.overflow`.
      damping: weight, at the end, of the loss that keeps weights from swinging between two codes,
        see `functional.off_grid`; it grows from 0 over `damping_steps` steps.
      clip_norm: longest gradient of the weights; 0 for no limit.

    Returns:
      A Keras model to compile with two optimizers and to fit.

    Raises:
      InputError: student and teacher are different networks.

    Source: Li et al., ECCV 2020, Eq. 6 and 7; of the other losses, see their functions.
    """

    def __init__(
        self,
        student: SuperResolution,
        teacher: SuperResolution,
        skt_weight: float = 1000.0,
        target: str = "hr",
        *,
        luma_weight: float = 0.0,
        output_weight: float = 0.0,
        overflow_weight: float = 0.0,
        damping: float = 0.0,
        damping_steps: int = 1,
        clip_norm: float = 0.0,
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
        self.luma_weight = luma_weight
        self.output_weight = output_weight
        self.overflow_weight = overflow_weight
        self.damping = damping
        self.damping_steps = damping_steps
        self.clip_norm = clip_norm
        self._ranges = [q for q in quantizers(student) if not q.follows] if overflow_weight else []
        arriving = [student.arriving[q.name] for q in self._ranges]
        self._student_outputs = _outputs(student, skt_weight, arriving)
        self._teacher_outputs = _outputs(teacher, skt_weight)
        self._divide(with_clips=False)
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
        self._divide(with_clips=is_relative(alpha_optimizer))
        self.optimizer.build(self.weight_variables)
        self.alpha_optimizer.build(self.alpha_variables)

    def _divide(self, *, with_clips: bool) -> None:
        """Divide what is trained between the optimizers; clips go with alphas or with weights."""
        ranges = [v for q in quantizers(self.student) for v in q.trainable_variables]
        if with_clips:
            ranges += [
                layer.clip for layer in self.student.layers if isinstance(layer, QuantConv2D)
            ]
        found = {id(variable) for variable in ranges}
        trainable = self.student.trainable_variables
        self.alpha_variables = [v for v in trainable if id(v) in found]
        self.weight_variables = [v for v in trainable if id(v) not in found]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "student": keras.saving.serialize_keras_object(self.student),
            "teacher": keras.saving.serialize_keras_object(self.teacher),
            **{name: getattr(self, name) for name in _SETTINGS},
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
        with tf.name_scope(
            "student"
        ):  # the scopes are for profiles, see benchmarks/step_profile.py
            sr, features, arriving = self._student_outputs(lr, training=True)
        image = None
        # Otherwise the teacher is not run at all.
        if self.skt_weight or self.output_weight or self.target == "teacher":
            with tf.name_scope("teacher"):
                image, taught, _ = self._teacher_outputs(lr, training=False)
            image = tf.stop_gradient(tf.cast(image, tf.float32))
        sr = tf.cast(sr, tf.float32)
        error = l1(sr, image if self.target == "teacher" else hr, self.luma_weight)
        skt = tf.constant(0.0)
        if self.skt_weight:
            skt = skt_loss(features[0], tf.stop_gradient(taught[0]))
        parts = [error + self.skt_weight * skt, *self.student.losses]
        if self.output_weight:
            parts.append(self.output_weight * l1(sr, image, self.luma_weight))
        if self.damping:
            parts.append(self._damping_now() * kernels_off_grid(self.student))
        found = {"loss": tf.add_n(parts), "l1": error, "skt": skt}
        if self._ranges:
            found[AGREEING] = self.overflow_weight * tf.add_n(
                [
                    overflow(x, q.alpha, q.ends if isinstance(q, PamsEndsQuantizer) else None)
                    for x, q in zip(arriving, self._ranges, strict=True)
                ]
            )
        return found

    def _damping_now(self) -> Any:
        """The weight of the damping, which rises like a cosine: early weights must be free."""
        done = tf.cast(self.optimizer.iterations.value, tf.float32) / self.damping_steps
        return self.damping * (1.0 - tf.cos(np.pi * tf.minimum(done, 1.0))) / 2.0

    def train_step(self, data: tuple[Any, ...]) -> dict[str, Any]:
        """One step on (lr, hr), both (N, H, W, 3) in [0, 255]."""
        lr, hr, _ = keras.utils.unpack_x_y_sample_weight(data)  # `train_on_batch` adds a None
        found = descend(self, lr, hr)
        for name, mean in self.loss_means.items():
            mean.update_state(found[name])
        return {name: metric.result() for name, metric in self.loss_means.items()}


def _outputs(
    network: SuperResolution, skt_weight: float, more: Sequence[Any] = ()
) -> Callable[..., tuple[Any, list[Any], list[Any]]]:
    """A function of (lr, training) -> image, [the feature that SKT needs], [tensors of `more`]."""
    outputs = [network.outputs[0]]
    if skt_weight:
        outputs = list(network.with_feature.outputs)
    model = keras.Model(network.inputs[0], [*outputs, *more]) if skt_weight or more else network

    def run(lr: Any, training: bool) -> tuple[Any, list[Any], list[Any]]:
        found = model(lr, training=training)
        found = list(found) if isinstance(found, list | tuple) else [found]
        return found[0], found[1 : len(outputs)], found[len(outputs) :]

    return run
