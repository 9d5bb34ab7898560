"""Learning-rate schedules and the Adam optimizer."""

import keras

from pams_tf.training.settings import RunSettings


def schedule(settings: RunSettings, rate: float) -> keras.optimizers.schedules.LearningRateSchedule:
    """The schedule that the settings name, starting at `rate`."""
    if settings.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(rate, settings.steps)
    return keras.optimizers.schedules.ExponentialDecay(
        rate, settings.halve_every, 0.5, staircase=True
    )


def adam(
    settings: RunSettings, rate: float, kind: type[keras.optimizers.Adam] = keras.optimizers.Adam
) -> keras.optimizers.Adam:
    """Adam, or a kind of it, with the paper's settings: 0.9, 0.999, 1e-8."""
    # A fixed name: otherwise Keras numbers optimizers, which renames the variables in checkpoints.
    return kind(schedule(settings, rate), beta_1=0.9, beta_2=0.999, epsilon=1e-8, name="adam")
