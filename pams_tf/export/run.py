"""From a finished run to an integer file with its recipe beside it."""

import dataclasses
import os
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

from pams_tf import models
from pams_tf.errors import InputError
from pams_tf.export import metadata
from pams_tf.export.inspection import inspect
from pams_tf.export.tflite import convert
from pams_tf.files import atomic_write
from pams_tf.runs import RunFolder
from pams_tf.training.distillation import quantizers
from pams_tf.training.jobs import calibration_batches, training_images
from pams_tf.training.settings import DistillationSettings

CALIBRATION_STEPS = 16


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
    edges: str = "int8",
    weights: str = "int8",
    target: str = "cpu",
) -> ExportedFile:
    """Convert a run's student; see `convert`.

    Args:
      run: a finished run of a student.
      input_size, edges, weights, target: as `convert` takes them.
      out: the .tflite file to write; RUN/student_HxW.tflite by default.
      calibration: folder of images for head and tail, in the place of the run's own.

    Raises:
      InputError: no finished student, a recipe that has no integer file, no calibration images,
        a name that does not end in .tflite, or an unwritable folder. No partial file is left.
    """
    student = models.load(run.network())
    if student.recipe is None:
        raise InputError(f"{run.path}: a float run; fine-tune a student of it first")
    size = "x".join(map(str, input_size)) if input_size else "dynamic"
    path = Path(out) if out else run.path / f"student_{size}.tflite"
    if path.suffix != ".tflite":
        raise InputError(f"{path}: the file's name must end in .tflite")
    batches = None
    if student.recipe.scope == "body":
        settings = run.read_settings()
        settings.pop("recipe")
        chosen = DistillationSettings(**settings)
        if calibration:
            chosen = dataclasses.replace(chosen, data=calibration)
        batches = islice(calibration_batches(training_images(chosen), chosen), CALIBRATION_STEPS)
    content = convert(student, input_size, batches, edges=edges, weights=weights, target=target)
    # The folder's name alone: where it lies is nobody else's business.
    content = metadata.embed(content, {**(metadata.read(content) or {}), "run": run.path.name})
    with atomic_write(path) as file:
        file.write(content)
    student.recipe.save(path.with_suffix(".json"))
    return ExportedFile(
        file=path,
        recipe=path.with_suffix(".json"),
        bytes=len(content),
        input_size=input_size,
        operators=dict(Counter(inspect(content).operators)),
        alphas={q.name: float(q.alpha) for q in quantizers(student)},
    )
