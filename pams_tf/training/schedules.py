"""Learning-rate schedules and the Adam optimizer."""

from typing import Any

import keras
from keras.optimizers import schedules

from pams_tf.training.settings import RunSettings


def schedule(settings: RunSettings, rate: float) -> schedules.LearningRateSchedule:
    """The schedule that the settings name, from `rate` downwards, behind their warm-up."""
    then: schedules.LearningRateSchedule
    if settings.schedule == "cosine":
        then = schedules.CosineDecay(rate, max(settings.steps - settings.warmup, 1))
    else:
        then = schedules.ExponentialDecay(rate, settings.halve_every, 0.5, staircase=True)
    return WarmUp(rate, settings.warmup, then) if settings.warmup else then


@keras.saving.register_keras_serializable("pams_tf")
class WarmUp(schedules.LearningRateSchedule):
    """A straight line from 0 to `rate` over `steps` steps, then another schedule from its start."""

    def __init__(self, rate: float, steps: int, then: schedules.LearningRateSchedule) -> None:
        self.rate, self.steps, self.then = rate, steps, then

    def __call__(self, step: Any) -> Any:
        step = keras.ops.cast(step, "float32")
        rising = self.rate * (step + 1) / self.steps
        then = self.then(keras.ops.maximum(step - self.steps, 0))
        return keras.ops.where(step < self.steps, rising, then)

    def get_config(self) -> dict[str, Any]:
        then = keras.saving.serialize_keras_object(self.then)
        return {"rate": self.rate, "steps": self.steps, "then": then}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WarmUp":
        return cls(**{**config, "then": keras.saving.deserialize_keras_object(config["then"])})


def adam(
    settings: RunSettings, rate: float, kind: "type[AveragingAdam] | None" = None
) -> keras.optimizers.Adam:
    """Adam, or a kind of it, with the paper's settings: 0.9, 0.999, 1e-8."""
    averaging = {"use_ema": True, "ema_momentum": settings.ema} if settings.ema else {}
    # A fixed name: otherwise Keras numbers optimizers, which renames the variables in checkpoints.
    return (kind or AveragingAdam)(
        schedule(settings, rate),
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        name="adam",
        **averaging,
    )


@keras.saving.register_keras_serializable("pams_tf")
class AveragingAdam(keras.optimizers.Adam):
    """Adam whose moving average soon forgets the weights of the start.

    Its momentum after t steps is min(ema_momentum, (1 + t) / (10 + t)), as in
    `tf.train.ExponentialMovingAverage`. With Keras' constant one, the average over the first steps
    is mostly initial weights: at 0.999 they weigh 0.14 after 2,000 steps.
    """

    @property
    def ema_momentum(self) -> Any:
        done = keras.ops.cast(self.iterations, "float32")
        return keras.ops.minimum(self._ema_momentum, (1 + done) / (10 + done))

    @ema_momentum.setter
    def ema_momentum(self, value: float) -> None:
        self._ema_momentum = value

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ema_momentum": self._ema_momentum}
