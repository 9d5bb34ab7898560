"""Teachers with their students, and pictures for them."""

import keras
import numpy as np

from pams_tf import models
from pams_tf.models.transfer import transfer_weights


def pair(recipe, overrides, name="edsr_mobile"):
    """A float x2 network of random weights and its student of the same, (teacher, student)."""
    keras.utils.set_random_seed(11)
    teacher = models.build(name, 2, **overrides)
    student = models.build(name, 2, recipe, **overrides)
    transfer_weights(teacher, student)
    return teacher, student


def batch(seed=0):
    """Noise in [0, 255]: LR (4, 12, 12, 3), HR (4, 24, 24, 3)."""
    rng = np.random.default_rng(seed)
    return (
        rng.uniform(0, 255, (4, 12, 12, 3)).astype(np.float32),
        rng.uniform(0, 255, (4, 24, 24, 3)).astype(np.float32),
    )
