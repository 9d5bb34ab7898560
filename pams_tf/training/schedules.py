"""Learning rates over the steps."""

import keras

from pams_tf.training.settings import RunSettings


def schedule(settings: RunSettings, rate: float) -> keras.optimizers.schedules.LearningRateSchedule:
    """The settings' schedule, starting at `rate`."""
    if settings.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(rate, settings.steps)
    return keras.optimizers.schedules.ExponentialDecay(
        rate, settings.halve_every, 0.5, staircase=True
    )


def adam(settings: RunSettings, rate: float) -> keras.optimizers.Adam:
    """Adam as the paper sets it: 0.9, 0.999, 1e-8."""
    # A fixed name, or Keras numbers them and a checkpoint's variables change theirs.
    return keras.optimizers.Adam(
        schedule(settings, rate), beta_1=0.9, beta_2=0.999, epsilon=1e-8, name="adam"
    )
