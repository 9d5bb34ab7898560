"""From a finished run to an integer file with its recipe beside it."""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pams_tf import models
from pams_tf.errors import InputError
from pams_tf.export.inspection import inspect
from pams_tf.export.tflite import convert
from pams_tf.export.variants import convert_float, convert_ptq
from pams_tf.files import atomic_write
from pams_tf.models import SuperResolution
from pams_tf.recipe import QuantizationRecipe
from pams_tf.runs import RunFolder
from pams_tf.training.distillation import quantizers
from pams_tf.training.jobs import calibration_batches, training_images
from pams_tf.training.settings import DistillationSettings

CALIBRATION_STEPS = 16
PTQ_STEPS = 2  # the converter's calibrator runs each image alone, and slowly
VARIANTS = ("float32", "float16", "ptq")


@dataclasses.dataclass(frozen=True)
class ExportedFile:
    """What was written: the file, its recipe, and the learned ranges in it."""

    file: Path
    recipe: Path
    bytes: int
    input_size: tuple[int, int] | None
    operators: dict[str, int]
    alphas: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "file": str(self.file), "recipe": str(self.recipe)}


def export_run(
    run: RunFolder,
    input_size: tuple[int, int] | None,
    *,
    out: str | os.PathLike[str] | None = None,
    calibration: str | None = None,
    percentile: float = 100.0,
    edges: str = "uint8",
    weights: str = "int8",
    target: str = "cpu",
) -> ExportedFile:
    """Convert a run's student; see `convert`.

    Args:
      run: a finished run of a student.
      input_size, percentile, edges, weights, target: as `convert` takes them.
      out: the .tflite file to write; RUN/student_HxW.tflite by default.
      calibration: folder of images for head and tail, in the place of the run's own.

    Raises:
      InputError: no finished student, a recipe that has no integer file, no calibration images,
        a name that does not end in .tflite, or an unwritable folder. No partial file is left.
    """
    student, recipe = _student(run)
    path = _path(run, input_size, out)
    batches = None
    if recipe.scope == "body":
        batches = islice(_calibration(run, calibration), CALIBRATION_STEPS)
    content = convert(
        student,
        input_size,
        batches,
        percentile=percentile,
        edges=edges,
        weights=weights,
        target=target,
        run=run.path.name,  # alone: where the folder lies is nobody else's business
    )
    with atomic_write(path) as file:
        file.write(content)
    recipe.save(path.with_suffix(".json"))
    return ExportedFile(
        file=path,
        recipe=path.with_suffix(".json"),
        bytes=len(content),
        input_size=input_size,
        operators=dict(Counter(inspect(content).operators)),
        alphas={q.name: float(q.alpha) for q in quantizers(student)},
    )


def export_variant(
    run: RunFolder,
    variant: str,
    input_size: tuple[int, int],
    *,
    out: str | os.PathLike[str] | None = None,
    calibration: str | None = None,
) -> Path:
    """Convert the student's network another way, for comparison with its integer file.

    Args:
      run, input_size, out, calibration: as `export_run`; the file's name gets `_VARIANT`.
      variant: "float32", "float16" or "ptq", see `convert_float` and `convert_ptq`.

    Returns:
      The file.

    Raises:
      InputError: as `export_run`, or an unknown variant.
    """
    if variant not in VARIANTS:
        raise InputError(
            f"variant={variant!r} is not possible; choose one of {', '.join(VARIANTS)}"
        )
    student, _ = _student(run)
    path = _path(run, input_size, out)
    if variant == "ptq":
        batches = islice(_calibration(run, calibration), PTQ_STEPS)
        content = convert_ptq(student, input_size, batches)
    else:
        content = convert_float(student, input_size, half=variant == "float16")
    path = path.with_stem(f"{path.stem}_{variant}")
    with atomic_write(path) as file:
        file.write(content)
    return path


def _student(run: RunFolder) -> tuple[SuperResolution, QuantizationRecipe]:
    student = models.load(run.network())
    if student.recipe is None:
        raise InputError(f"{run.path}: a float run; fine-tune a student of it first")
    return student, student.recipe


def _path(
    run: RunFolder, input_size: tuple[int, int] | None, out: str | os.PathLike[str] | None
) -> Path:
    size = "x".join(map(str, input_size)) if input_size else "dynamic"
    path = Path(out) if out else run.path / f"student_{size}.tflite"
    if path.suffix != ".tflite":
        raise InputError(f"{path}: the file's name must end in .tflite")
    return path


def _calibration(run: RunFolder, folder: str | None) -> Iterator[Any]:
    """Batches of the run's own training images, or of those in `folder`."""
    fields = run.read_settings()
    fields.pop("recipe")
    settings = DistillationSettings(**fields)
    if folder:
        settings = dataclasses.replace(settings, data=folder)
    return calibration_batches(training_images(settings), settings)
