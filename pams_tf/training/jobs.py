"""The two kinds of run, from settings to a finished run folder: `train` and `distil`."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import keras
import tensorflow as tf

from pams_tf import models
from pams_tf.data.calibration import packed_images, training_batches
from pams_tf.data.packed import PackedPairs
from pams_tf.data.pipeline import training_dataset
from pams_tf.errors import InputError
from pams_tf.files import check_writable
from pams_tf.models import SuperResolution
from pams_tf.quantization import calibrate, quantizers, random_ranges
from pams_tf.recipe import QuantizationRecipe
from pams_tf.reporting.plots.ranges import alpha_curves
from pams_tf.runs import RunFolder
from pams_tf.training.distillation import Distiller
from pams_tf.training.logs import read_csv
from pams_tf.training.loop import TrainingResult, fit
from pams_tf.training.precision import check_precision, dtype_policy, optimizer_for
from pams_tf.training.regression import Regression
from pams_tf.training.replicas import Replicas, choose_replicas
from pams_tf.training.schedules import adam
from pams_tf.training.settings import DistillationSettings, RunSettings, TrainingSettings
from pams_tf.training.teachers import load_teacher
from pams_tf.training.validation import validation


def train(
    settings: TrainingSettings, run: RunFolder, *, strategy: str = "auto", progress: bool = False
) -> TrainingResult:
    """Train a float network on L1 (as for a teacher), or resume its training.

    Args:
      strategy: see `choose_replicas`. It is no setting: a run may go on with another one.

    Raises:
      InputError: the settings, images, folder or strategy cannot be used, the loss diverged, or
        another process was lost.
    """
    with _beginning(settings, run, None, strategy) as (replicas, packed):
        with replicas.strategy.scope(), dtype_policy(settings.precision):
            network = models.build(settings.model, settings.scale, **settings.overrides)
            trainee = Regression(network, _optimizer(settings, settings.learning_rate))
        if settings.start == "interpolation":
            models.start_as_interpolation(network)
        optimizer, _ = trainee.updates[0]
        return fit(
            trainee,
            network,
            {"network": network.variables, "optimizer": optimizer.variables},
            settings,
            run,
            replicas,
            batches=lambda step: _batches(packed, settings, replicas, step),
            validate=validation(network, settings, replicas),
            progress=progress,
        )


def distil(
    settings: DistillationSettings,
    recipe: QuantizationRecipe,
    run: RunFolder,
    *,
    strategy: str = "auto",
    progress: bool = False,
) -> TrainingResult:
    """Distil the float teacher into a student quantized by `recipe`, or resume its training.

    Args:
      strategy: see `choose_replicas`. It is no setting: a run may go on with another one.

    Raises:
      InputError: the settings, teacher, images, folder or strategy cannot be used, the loss
        diverged, or another process was lost.
    """
    with _beginning(settings, run, recipe, strategy) as (replicas, packed):

        def teacher_network() -> SuperResolution:
            return load_teacher(
                settings.teacher, settings.model, settings.scale, settings.overrides
            )

        with replicas.strategy.scope(), dtype_policy(settings.precision):
            student = models.build(settings.model, settings.scale, recipe, **settings.overrides)
            teacher = teacher_network()
            models.transfer_weights(teacher, student)
            distiller = Distiller(student, teacher, settings.skt_weight)
            distiller.compile(
                _optimizer(settings, settings.learning_rate),
                _optimizer(settings, settings.alpha_learning_rate),
            )

        def prepare() -> None:
            if settings.initial_range == "random":
                random_ranges(student, settings.seed)
                return
            with dtype_policy("float32"):  # ranges are as fine as quantizers
                exact = teacher if settings.precision == "float32" else teacher_network()
            calibrate_on_first_batches(student, exact, packed, settings)

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
            replicas,
            batches=lambda step: _batches(packed, settings, replicas, step),
            validate=validation(student, settings, replicas),
            prepare=prepare,
            quantizers=quantizers(student),
            progress=progress,
        )
        if replicas.chief:
            _draw_alphas(run)
    return result


@contextlib.contextmanager
def _beginning(
    settings: RunSettings, run: RunFolder, recipe: QuantizationRecipe | None, strategy: str
) -> Iterator[tuple[Replicas, PackedPairs]]:
    """What comes before building a network: who trains, on which images; the folder is claimed."""
    replicas = choose_replicas(strategy)  # first: TensorFlow joins others only before it computes
    with replicas.watched(run.path), contextlib.ExitStack() as stack:
        with replicas.together():
            replicas.shares(settings.batch_size)
            check_precision(settings.precision, recipe)
            if replicas.chief:
                check_writable(run.path.parent)
            packed = packed_images(settings.data, settings.scale, settings.patch_size)
            if replicas.chief:
                stack.enter_context(run.lock())
                run.claim(settings.to_dict(), recipe, type(settings)().to_dict())
        with replicas.together():
            _check_alike(replicas, settings, recipe, packed)
        keras.utils.set_random_seed(settings.seed)
        yield replicas, packed


def _check_alike(
    replicas: Replicas, settings: RunSettings, recipe: Any, packed: PackedPairs
) -> None:
    """Check that all processes train the same on the same images.

    Raises:
      InputError: this one's differ from the chief's.
    """
    fields = {key: value for key, value in settings.to_dict().items() if key != "teacher"}
    fields = {**fields, "data": None, "valid_data": None}  # paths may differ between machines
    text = json.dumps([fields, recipe.to_dict() if recipe else None, packed.shapes])
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])
    if replicas.from_chief([number]) != [number]:
        raise InputError(
            f"worker {replicas.worker} has other settings or images than the chief; give the same "
            "command and the same images everywhere"
        )


def calibrate_on_first_batches(
    student: SuperResolution,
    teacher: SuperResolution,
    packed: PackedPairs,
    settings: DistillationSettings,
) -> None:
    """Set the student's ranges from the first batches that training will draw (Eq. 4)."""
    first = training_batches(
        packed,
        seed=settings.seed,
        batch_size=settings.batch_size,
        patch_size=settings.patch_size,
    )
    calibrate(student, teacher, islice(first, settings.calibration_steps))


def _batches(
    packed: PackedPairs, settings: RunSettings, replicas: Replicas, step: int
) -> tf.data.Dataset:
    """The batches from one step to the last, in the parts of this process's replicas."""
    parts = replicas.shares(settings.batch_size)
    return training_dataset(
        packed,
        seed=settings.seed,
        start_step=step,
        batch_size=settings.batch_size,
        patch_size=settings.patch_size,
        parts=parts,
    ).take((settings.steps - step) * len(parts))


def _optimizer(settings: RunSettings, rate: float) -> keras.optimizers.Optimizer:
    return optimizer_for(settings.precision, adam(settings, rate))


def _draw_alphas(run: RunFolder) -> None:
    rows = read_csv(run.alphas)
    names = [name for name in rows[0] if name != "step"]
    alpha_curves(
        run.alpha_curves,
        [int(row["step"]) for row in rows],
        {name: [float(row[name]) for row in rows] for name in names},
    )
