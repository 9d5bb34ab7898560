"""Fine-tuning steps of EDSR-baseline x4 and how they are timed, for the scripts beside this one."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pams_tf import models, quantize
from pams_tf.recipe import QuantizationRecipe
from pams_tf.training.descent import step_function
from pams_tf.training.distillation import Distiller
from pams_tf.training.optimizers import AveragingAdam, scheduled
from pams_tf.training.precision import dtype_policy
from pams_tf.training.replicas import choose_replicas
from pams_tf.training.settings import DistillationSettings

PATCH_SIZE, SCALE = 48, 4


def batch(batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """A seeded batch of noise, float32 in [0, 255]: LR (N, 48, 48, 3), HR (N, 192, 192, 3)."""
    rng = np.random.default_rng(0)
    shapes = [(batch_size, side, side, 3) for side in (PATCH_SIZE, PATCH_SIZE * SCALE)]
    lr, hr = (rng.integers(0, 256, shape).astype(np.float32) for shape in shapes)
    return lr, hr


def distiller(
    bits: int | None, batch_size: int, precision: str = "float32"
) -> tuple[Distiller, tuple[np.ndarray, np.ndarray]]:
    """EDSR-baseline x4 as teacher and student, float if bits is None, and a batch."""
    lr, hr = batch(batch_size)
    exact = models.load(f"edsr_baseline_x{SCALE}")
    recipe = None if bits is None else QuantizationRecipe(bits=bits)
    calibrated = exact if recipe is None else quantize(exact, recipe, lr)
    with dtype_policy(precision):
        student = models.with_recipe(calibrated, recipe)
        trained = Distiller(student, models.with_recipe(exact, None))
    settings = DistillationSettings()
    rates = settings.learning_rate, settings.alpha_learning_rate
    trained.compile(*(scheduled(AveragingAdam, settings, rate) for rate in rates))
    return trained, (lr, hr)


def step(distiller: Distiller, lr: Any, hr: Any) -> Callable[[], float]:
    """A function that takes a step on a batch and returns the loss, as a training run does."""
    import tensorflow as tf

    function = step_function(distiller, choose_replicas("one"), ("loss", "l1", "skt"))
    images = tf.constant(lr), tf.constant(hr)
    return lambda: float(function(*images).numpy()[0, 0])


def timed(steps: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step, taken in turn, after one of each that is not timed."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(rounds + 1):
        for name, take in steps.items():
            start = time.perf_counter()
            take()
            if round_:
                seconds[name].append(time.perf_counter() - start)
    return seconds
