"""The two kinds of run, from settings to a finished run folder: `train` and `distil`."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf import models
from pams_tf.data import datasets
from pams_tf.data.calibration import packed_images, packed_lr_images, training_batches
from pams_tf.data.packed import PackedPairs
from pams_tf.data.pipeline import training_dataset
from pams_tf.evaluation.benchmark import evaluate
from pams_tf.evaluation.metrics import psnr_y
from pams_tf.evaluation.upscaler import keras_upscale
from pams_tf.files import check_writable
from pams_tf.models import SuperResolution
from pams_tf.models.quantize import reach_every_colour
from pams_tf.quantization import calibrate, quantizers, random_ranges, search_ranges
from pams_tf.recipe import QuantizationRecipe
from pams_tf.reporting.plots.ranges import alpha_curves
from pams_tf.runs import RunFolder
from pams_tf.training.distillation import Distiller
from pams_tf.training.logs import read_csv
from pams_tf.training.loop import TrainingResult, fit
from pams_tf.training.schedules import adam
from pams_tf.training.settings import DistillationSettings, RunSettings, TrainingSettings
from pams_tf.training.teachers import load_teacher


def train(settings: TrainingSettings, run: RunFolder, *, progress: bool = False) -> TrainingResult:
    """Train a float network on L1 (as for a teacher), or resume its training.

    Raises:
      InputError: the settings, images or folder cannot be used, or the loss diverged.
    """
    check_writable(run.path.parent)
    keras.utils.set_random_seed(settings.seed)
    with _dtype_policy(settings.precision):
        network = models.build(settings.model, settings.scale, **settings.overrides)
    if settings.start == "interpolation":
        models.start_as_interpolation(network)
    packed = packed_images(settings.data, settings.scale, settings.patch_size, settings.graphics)
    with run.lock():
        run.claim(settings.to_dict(), None, TrainingSettings().to_dict())
        network.compile(
            adam(settings, settings.learning_rate),
            loss="mean_absolute_error",
            jit_compile=bool(tf.config.list_physical_devices("GPU")),
        )
        network.optimizer.build(network.trainable_variables)
        return fit(
            network,
            network,
            {"network": network.variables, "optimizer": network.optimizer.variables},
            settings,
            run,
            batches=lambda step: _batches(packed, settings, step),
            validate=validation(network, settings),
            progress=progress,
        )


def distil(
    settings: DistillationSettings,
    recipe: QuantizationRecipe,
    run: RunFolder,
    *,
    progress: bool = False,
) -> TrainingResult:
    """Distil the float teacher into a student quantized by `recipe`, or resume its training.

    Raises:
      InputError: the settings, teacher, images or folder cannot be used, or the loss diverged.
    """
    check_writable(run.path.parent)
    keras.utils.set_random_seed(settings.seed)
    with _dtype_policy("float32"):
        teacher = load_teacher(
            settings.teacher,
            settings.model,
            settings.scale,
            settings.overrides,
            image_range=settings.image_range,
            skt_layer=settings.skt_layer,
        )
        student = models.SuperResolution(
            settings.model, settings.scale, recipe, settings.overrides, teacher.graph
        )
    packed = _packed(settings)
    if recipe.equalize:
        teacher = models.equalized(teacher, _first_batches(packed, settings, teacher.channels))
    models.transfer_weights(teacher, student)
    with run.lock():
        run.claim(settings.to_dict(), recipe, DistillationSettings().to_dict())
        distiller = Distiller(student, teacher, settings.skt_weight, settings.target)
        # In grey levels, whatever the unit of the network's own values.
        alpha_rate = settings.alpha_learning_rate / student.architecture.unit
        distiller.compile(adam(settings, settings.learning_rate), adam(settings, alpha_rate))

        def prepare() -> None:
            if settings.initial_range == "random":
                random_ranges(student, settings.seed)
            elif settings.initial_range == "error":
                search_ranges(student, teacher, _first_batches(packed, settings, student.channels))
            else:
                calibrate_on_first_batches(student, teacher, packed, settings)
            if settings.initial_weights == "fitted":
                batches = _first_batches(packed, settings, student.channels)
                models.fit_kernels(student, teacher, batches)

        result = fit(
            distiller,
            student,
            {
                "student": student.variables,
                "optimizer": distiller.optimizer.variables,
                "alpha_optimizer": distiller.alpha_optimizer.variables,
            },
            settings,
            run,
            batches=lambda step: _batches(packed, settings, step, student.channels),
            validate=(
                fidelity(student, teacher, settings)
                if settings.target == "teacher"
                else validation(student, settings)
            ),
            prepare=prepare,
            quantizers=quantizers(student),
            progress=progress,
        )
        if not settings.steps:
            return result
        rows = read_csv(run.alphas)
        names = [name for name in rows[0] if name != "step"]
        alpha_curves(
            run.alpha_curves,
            [int(row["step"]) for row in rows],
            {name: [float(row[name]) for row in rows] for name in names},
        )
    return result


def calibrate_on_first_batches(
    student: SuperResolution,
    teacher: SuperResolution,
    packed: PackedPairs,
    settings: DistillationSettings,
) -> None:
    """Set the student's ranges from the first batches that training will draw (Eq. 4).

    Drawn pictures are left out: text has sharper edges than any photograph, and ranges that held
    them all cost 0.04 dB (EDSR-small x3 on Set5). Flat colours widen head and tail.
    """
    calibrate(student, teacher, _first_batches(packed, settings, student.channels))
    reach_every_colour(student, teacher)


def _first_batches(
    packed: PackedPairs, settings: DistillationSettings, channels: int
) -> Iterator[Any]:
    first = training_batches(
        dataclasses.replace(packed, graphics=None),
        seed=settings.seed,
        batch_size=settings.batch_size,
        patch_size=settings.patch_size,
        channels=channels,
    )
    return islice(first, settings.calibration_steps)


def validation(network: SuperResolution, settings: RunSettings) -> Callable[[], float]:
    """A function that returns the current PSNR-Y (dB) of `network` on the validation images."""
    pairs = datasets.find_or_sample(settings.valid_data, settings.scale, "valid")
    upscale = keras_upscale(network)
    return lambda: evaluate(upscale, pairs).psnr


def fidelity(
    student: SuperResolution, teacher: SuperResolution, settings: RunSettings
) -> Callable[[], float]:
    """A function that returns the PSNR-Y (dB) of the student to its teacher's images.

    The LR images are those of the validation set.
    """
    pairs = datasets.find_or_sample(settings.valid_data, settings.scale, "valid")
    images = [pairs.load(index)[0] for index in range(len(pairs))]
    taught = list(map(keras_upscale(teacher), images))
    upscale = keras_upscale(student)

    def measure() -> float:
        figures = [
            psnr_y(upscale(image), wanted, settings.scale)
            for image, wanted in zip(images, taught, strict=True)
        ]
        return float(np.mean(figures))

    return measure


def _packed(settings: DistillationSettings) -> PackedPairs:
    """The training images; a folder of any pictures holds LR images if no HR image is needed."""
    if settings.target == "hr" or settings.data is None:
        return packed_images(settings.data, settings.scale, settings.patch_size, settings.graphics)
    return packed_lr_images(settings.data, settings.scale, settings.patch_size)


def _batches(packed: PackedPairs, settings: RunSettings, step: int, channels: int = 3) -> Any:
    return training_dataset(
        packed,
        seed=settings.seed,
        start_step=step,
        batch_size=settings.batch_size,
        patch_size=settings.patch_size,
        channels=channels,
    )


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Build layers under a Keras dtype policy, then restore the caller's."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
