"""Learning-rate schedules."""

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
