"""The two kinds of run, from settings to a finished folder: `train` and `finetune`."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import keras
import tensorflow as tf

from pams_tf import models
from pams_tf.data import datasets
from pams_tf.data.datasets import ImagePairs
from pams_tf.data.packed import PackedPairs, pack
from pams_tf.data.pipeline import training_batch, training_dataset
from pams_tf.evaluation.benchmark import evaluate
from pams_tf.evaluation.figures import alpha_curves
from pams_tf.evaluation.upscalers import keras_upscaler
from pams_tf.files import check_writable
from pams_tf.models import SuperResolution
from pams_tf.recipe import QuantizationRecipe
from pams_tf.runs import RunFolder
from pams_tf.training.calibration import calibrate, random_ranges
from pams_tf.training.callbacks import read_csv
from pams_tf.training.checkpoints import transfer_weights
from pams_tf.training.distillation import Distiller, quantizers
from pams_tf.training.loop import TrainingResult, fit
from pams_tf.training.schedules import adam
from pams_tf.training.settings import DistillationSettings, TrainingSettings
from pams_tf.training.teachers import load_teacher


def train(settings: TrainingSettings, run: RunFolder, *, progress: bool = False) -> TrainingResult:
    """Train the float network on L1 (the teacher's training), or continue doing so.

    Raises:
      InputError: unusable settings, images or folder; a diverged loss.
    """
    check_writable(run.path.parent)
    keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(settings.precision)
    try:
        network = models.build(settings.model, settings.scale, **settings.overrides)
    finally:
        keras.config.set_dtype_policy("float32")
    if settings.start == "interpolation":
        models.start_as_interpolation(network)
    packed = training_images(settings)
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


def finetune(
    settings: DistillationSettings,
    recipe: QuantizationRecipe,
    run: RunFolder,
    *,
    progress: bool = False,
) -> TrainingResult:
    """Distil the float teacher into a student quantized by `recipe`, or continue doing so.

    Raises:
      InputError: unusable settings, teacher, images or folder; a diverged loss.
    """
    check_writable(run.path.parent)
    keras.utils.set_random_seed(settings.seed)
    student = models.build(settings.model, settings.scale, recipe, **settings.overrides)
    teacher = load_teacher(settings.teacher, settings.model, settings.scale, settings.overrides)
    transfer_weights(teacher, student)
    packed = training_images(settings)
    with run.lock():
        run.claim(settings.to_dict(), recipe, DistillationSettings().to_dict())
        distiller = Distiller(student, teacher, settings.skt_weight)
        distiller.compile(
            adam(settings, settings.learning_rate), adam(settings, settings.alpha_learning_rate)
        )

        def prepare() -> None:
            if settings.initial_range == "random":
                random_ranges(student, settings.seed)
                return
            first = calibration_batches(packed, settings)
            calibrate(student, teacher, islice(first, settings.calibration_steps))

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
            batches=lambda step: _batches(packed, settings, step),
            validate=validation(student, settings),
            prepare=prepare,
            quantizers=quantizers(student),
            progress=progress,
        )
        rows = read_csv(run.alphas)
        names = [name for name in rows[0] if name != "step"]
        alpha_curves(
            run.alpha_curves,
            [int(row["step"]) for row in rows],
            {name: [float(row[name]) for row in rows] for name in names},
        )
    return result


def training_images(settings: TrainingSettings) -> PackedPairs:
    """The settings' training images, packed; the built-in photographs without `data`."""
    packed = pack(training_pairs(settings.data, settings.scale))
    packed.check_patch(settings.patch_size)
    return packed


def training_pairs(data: str | None, scale: int) -> ImagePairs:
    """The training images of a folder, or the built-in photographs without one."""
    return datasets.find(data, scale) if data else datasets.sample(scale, "train")


def validation(network: SuperResolution, settings: TrainingSettings) -> Callable[[], float]:
    """A function that gives the PSNR-Y (dB) of `network`, as it then is, on validation images."""
    pairs = (
        datasets.find(settings.valid_data, settings.scale)
        if settings.valid_data
        else datasets.sample(settings.scale, "valid")
    )
    upscaler = keras_upscaler(network)
    return lambda: evaluate(upscaler, pairs).psnr


def calibration_batches(packed: PackedPairs, settings: TrainingSettings) -> Iterator[Any]:
    """LR batches (N, H, W, 3) for calibration, drawn as the first training batches are."""
    step = 0
    while True:
        lr, _ = training_batch(
            packed,
            seed=settings.seed,
            step=step,
            batch_size=settings.batch_size,
            patch_size=settings.patch_size,
        )
        yield lr
        step += 1


def _batches(packed: PackedPairs, settings: TrainingSettings, step: int) -> Any:
    return training_dataset(
        packed,
        seed=settings.seed,
        start_step=step,
        batch_size=settings.batch_size,
        patch_size=settings.patch_size,
    )
