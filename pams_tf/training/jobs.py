"""The two kinds of run, from settings to a finished run folder: `train` and `distil`."""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import keras
import tensorflow as tf

from pams_tf import models
from pams_tf.data import datasets
from pams_tf.data.calibration import packed_images, packed_lr_images, training_batches
from pams_tf.data.datasets import ImagePairs
from pams_tf.data.packed import PackedPairs
from pams_tf.data.pipeline import training_dataset
from pams_tf.errors import InputError
from pams_tf.files import check_writable
from pams_tf.models import SuperResolution
from pams_tf.models.quantize import reach_every_colour, with_flat_colours
from pams_tf.quantization import calibrate, quantizers, random_ranges, search_ranges
from pams_tf.recipe import QuantizationRecipe
from pams_tf.reporting.plots.ranges import alpha_curves
from pams_tf.runs import RunFolder
from pams_tf.training.distillation import Distiller
from pams_tf.training.logs import read_csv
from pams_tf.training.loop import TrainingResult, fit
from pams_tf.training.optimizers import AveragingAdam, optimizer, scheduled
from pams_tf.training.precision import check_precision, dtype_policy, optimizer_for
from pams_tf.training.regression import Regression
from pams_tf.training.relative import RelativeAdam
from pams_tf.training.replicas import Replicas, choose_replicas
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
    with _together(settings, run, None, strategy) as replicas:
        with replicas.together():
            packed = packed_images(
                settings.data, settings.scale, settings.patch_size, settings.graphics
            )
            pairs = _validation_images(settings)
            source = _larger_network(settings)
        with replicas.strategy.scope(), dtype_policy(settings.precision):
            network = SuperResolution(
                settings.model, settings.scale, overrides=settings.overrides, centred=True
            )
            trainee = Regression(
                network,
                _optimizer(settings),
                teacher=source and models.with_recipe(source, None),  # here, in the run's precision
                luma_weight=settings.luma_weight,
                output_weight=settings.output_weight,
                clip_norm=settings.clip_norm,
            )
        if settings.start == "interpolation":
            models.start_as_interpolation(network)
        updated_by, _ = trainee.updates[0]

        def prepare() -> None:
            if settings.start_weights is not None:
                with dtype_policy("float32"):
                    begun = load_teacher(settings.start_weights, settings.model, settings.scale)
                models.begin_with(network, begun)

        with _claimed(run, settings, None, replicas, packed):
            return fit(
                trainee,
                network,
                {"network": network.variables, "optimizer": updated_by.variables},
                settings,
                run,
                replicas,
                batches=lambda step: _batches(packed, settings, replicas, step),
                validate=validation(network, pairs, replicas),
                prepare=prepare,
                progress=progress,
            )


def distil(
    settings: DistillationSettings,
    recipe: QuantizationRecipe,
    run: RunFolder,
    *,
    teacher: SuperResolution | None = None,
    strategy: str = "auto",
    progress: bool = False,
) -> TrainingResult:
    """Distil the float teacher into a student quantized by `recipe`, or resume its training.

    Args:
      teacher: `settings.teacher`, if it is loaded already.
      strategy: see `choose_replicas`. It is no setting: a run may go on with another one.

    Raises:
      InputError: the settings, teacher, images, folder or strategy cannot be used, the loss
        diverged, or another process was lost.
    """
    with _together(settings, run, recipe, strategy) as replicas:
        with replicas.together():
            packed = _packed(settings)
            pairs = _validation_images(settings)
            exact = _teacher(teacher or settings.teacher, settings, recipe, packed)
        replicas.variables_from_chief(exact.variables)
        with replicas.strategy.scope(), dtype_policy(settings.precision):
            student = SuperResolution(
                settings.model, settings.scale, recipe, settings.overrides, exact.graph
            )
            models.transfer_weights(exact, student)
            frozen = models.with_recipe(exact, None)
            distiller = Distiller(
                student,
                frozen,
                settings.skt_weight,
                settings.target,
                luma_weight=settings.luma_weight,
                output_weight=settings.output_weight,
                overflow_weight=settings.overflow_weight,
                damping=settings.damping,
                damping_steps=max(settings.steps, 1),
                clip_norm=settings.clip_norm,
            )
            distiller.compile(
                _optimizer(settings),
                _alpha_optimizer(settings, student.architecture.unit),
            )
        goal = exact if settings.target == "teacher" else None

        def prepare() -> None:
            batches: list[Any] = []  # drawn once, for both that read them
            if settings.initial_range == "error" or settings.initial_weights == "fitted":
                first = _first_batches(packed, settings, student.channels)
                batches = with_flat_colours(first, student.channels)
            if settings.initial_range == "random":
                random_ranges(student, settings.seed)
            elif settings.initial_range == "error":
                search_ranges(student, exact, batches)
            else:
                calibrate_on_first_batches(student, exact, packed, settings)
            if settings.initial_weights == "fitted":
                models.fit_kernels(student, exact, batches)

        with _claimed(run, settings, recipe, replicas, packed):
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
                batches=lambda step: _batches(packed, settings, replicas, step, student.channels),
                validate=validation(student, pairs, replicas, goal),
                prepare=prepare,
                quantizers=quantizers(student),
                progress=progress,
            )
            if replicas.chief and settings.steps:
                _draw_alphas(run)
    return result


@contextlib.contextmanager
def _together(
    settings: RunSettings, run: RunFolder, recipe: QuantizationRecipe | None, strategy: str
) -> Iterator[Replicas]:
    """Who trains; a block in which a process that is lost ends the run with a message."""
    replicas = choose_replicas(strategy)  # first: TensorFlow joins others only before it computes
    with replicas.watched(run.path):
        with replicas.together():
            replicas.shares(settings.batch_size)
            check_precision(settings.precision, recipe)
            if replicas.chief:
                check_writable(run.path.parent)
        keras.utils.set_random_seed(settings.seed)
        yield replicas


@contextlib.contextmanager
def _claimed(
    run: RunFolder,
    settings: RunSettings,
    recipe: QuantizationRecipe | None,
    replicas: Replicas,
    packed: PackedPairs,
) -> Iterator[None]:
    """A block in which the chief has the run folder, for a run that all of them agree on.

    Raises:
      InputError: another process has the folder, or it holds another run; or a process has other
        settings or images than the chief.
    """
    with contextlib.ExitStack() as stack:
        with replicas.together():
            check_alike(replicas, settings, recipe, packed)
        with replicas.together():
            if replicas.chief:
                stack.enter_context(run.lock())
                run.claim(settings.to_dict(), recipe, type(settings)().to_dict())
        yield


def _larger_network(settings: TrainingSettings) -> SuperResolution | None:
    """The network whose images are a second goal.

    Raises:
      InputError: see `load_teacher`; or it has another scale.
    """
    if settings.teacher is None:
        return None
    with dtype_policy("float32"):
        teacher = load_teacher(settings.teacher, settings.model, settings.scale)
    if (teacher.scale, teacher.channels) != (settings.scale, 3):
        raise InputError(
            f"{settings.teacher} is {teacher.described}; give a teacher that enlarges colour "
            f"images x{settings.scale}"
        )
    return teacher


def _teacher(
    source: SuperResolution | str | None,
    settings: DistillationSettings,
    recipe: QuantizationRecipe,
    packed: PackedPairs,
) -> SuperResolution:
    """The teacher in float32, whatever the precision of the run: ranges are as fine as quantizers.

    Raises:
      InputError: see `load_teacher`.
    """
    with dtype_policy("float32"):
        teacher = load_teacher(
            source,
            settings.model,
            settings.scale,
            settings.overrides,
            image_range=settings.image_range,
            skt_layer=settings.skt_layer,
        )
        if recipe.equalize:
            teacher = models.equalized(teacher, _first_batches(packed, settings, teacher.channels))
    return teacher


def check_alike(
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


def _packed(settings: DistillationSettings) -> PackedPairs:
    """The training images; a folder of any pictures holds LR images if no HR image is needed."""
    if settings.target == "hr" or settings.data is None:
        return packed_images(settings.data, settings.scale, settings.patch_size, settings.graphics)
    return packed_lr_images(settings.data, settings.scale, settings.patch_size)


def _validation_images(settings: RunSettings) -> ImagePairs:
    return datasets.find_or_sample(settings.valid_data, settings.scale, "valid")


def _batches(
    packed: PackedPairs,
    settings: RunSettings,
    replicas: Replicas,
    step: int,
    channels: int = 3,
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
        channels=channels,
    ).take((settings.steps - step) * len(parts))


def _optimizer(settings: RunSettings) -> keras.optimizers.Optimizer:
    return optimizer_for(settings.precision, optimizer(settings))


def _alpha_optimizer(settings: DistillationSettings, unit: float) -> keras.optimizers.Optimizer:
    rate = settings.alpha_learning_rate
    if settings.alpha_rate == "relative":
        ranges = scheduled(RelativeAdam, settings, rate)
    else:  # in grey levels, whatever the unit of the network's own values
        ranges = scheduled(AveragingAdam, settings, rate / unit)
    return optimizer_for(settings.precision, ranges)


def _draw_alphas(run: RunFolder) -> None:
    rows = read_csv(run.alphas)
    names = [name for name in rows[0] if name != "step"]
    alpha_curves(
        run.alpha_curves,
        [int(row["step"]) for row in rows],
        {name: [float(row[name]) for row in rows] for name in names},
    )
