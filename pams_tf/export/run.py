"""Export of a finished run to an integer file with its card beside it."""

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pams_tf import models
from pams_tf.data.calibration import packed_images, training_batches
from pams_tf.data.graphics import flat_colours
from pams_tf.errors import InputError
from pams_tf.export.converter import convert
from pams_tf.export.variants import convert_float, convert_ptq
from pams_tf.files import atomic_write, write_together
from pams_tf.litert.card import model_card
from pams_tf.litert.flatbuffer import read_file
from pams_tf.models import SuperResolution
from pams_tf.quantization import quantizers
from pams_tf.runs import RunFolder

CALIBRATION_STEPS = 16
PTQ_STEPS = 2  # the converter's calibrator runs one image at a time, and slowly
VARIANTS = ("float32", "float16", "ptq")


@dataclasses.dataclass(frozen=True)
class ExportedFile:
    """What an export wrote: the file, its card, and the learned ranges in it."""

    file: Path
    card: Path
    bytes: int
    input_size: tuple[int, int] | None
    io_dtype: str
    operators: dict[str, int]
    alphas: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return {**dataclasses.asdict(self), "file": str(self.file), "card": str(self.card)}


def export_run(
    run: RunFolder,
    input_size: tuple[int, int] | None,
    *,
    out: str | os.PathLike[str] | None = None,
    calibration: str | None = None,
    **options: Any,
) -> ExportedFile:
    """Convert the student of a run (see `convert`) and write its card beside the file.

    Args:
      run: a finished run of a student.
      input_size: as in `convert`.
      out: the .tflite file to write; RUN/student_HxW.tflite by default. The card is NAME.json.
      calibration: folder of images that calibrate head and tail, instead of the run's training
        images.
      **options: `percentile`, `io_dtype`, `weights`, `target`, `author` and `license`, as in
        `convert`.

    Raises:
      InputError: the student is not finished, its recipe cannot become an integer file, there are
        no calibration images, the name does not end in .tflite, or the folder cannot be written.
        No partial file is left.
    """
    student = _student(run)
    path = _path(run, input_size, out)
    assert student.recipe is not None
    images = None
    if student.recipe.scope == "body":
        photographs = islice(_calibration(run, calibration), CALIBRATION_STEPS)
        images = chain([flat_colours()], photographs)
    # Only the run's name: a file that is passed on should not reveal the path of the folder.
    content = convert(student, input_size, images, run=run.path.name, **options)
    card = path.with_suffix(".json")
    about = json.dumps(model_card(content, path.name), indent=2) + "\n"
    write_together({path: content, card: about.encode()})
    info = read_file(content)
    return ExportedFile(
        file=path,
        card=card,
        bytes=len(content),
        input_size=input_size,
        io_dtype=info.tensors[info.inputs[0]].dtype,
        operators=dict(Counter(info.operators)),
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
    """Convert the student's network in another way, for comparison with its integer file.

    Args:
      run, input_size, out, calibration: as in `export_run`; `_VARIANT` is appended to the file's
        name.
      variant: "float32", "float16" or "ptq"; see `convert_float` and `convert_ptq`.

    Returns:
      The path of the file.

    Raises:
      InputError: as in `export_run`, or the variant is unknown.
    """
    if variant not in VARIANTS:
        raise InputError(
            f"variant={variant!r} is not possible; choose one of {', '.join(VARIANTS)}"
        )
    student = _student(run)
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


def _student(run: RunFolder) -> SuperResolution:
    student = models.load(run.network())
    if student.recipe is None:
        raise InputError(f"{run.path}: a float run; fine-tune a student of it first")
    return student


def _path(
    run: RunFolder, input_size: tuple[int, int] | None, out: str | os.PathLike[str] | None
) -> Path:
    size = "x".join(map(str, input_size)) if input_size else "dynamic"
    path = Path(out) if out else run.path / f"student_{size}.tflite"
    if path.suffix != ".tflite":
        raise InputError(f"{path}: the file's name must end in .tflite")
    return path


def _calibration(run: RunFolder, folder: str | None) -> Iterator[Any]:
    """Batches of the run's own training images, or of the images in `folder`."""
    settings = run.read_settings()
    try:
        data = folder or settings["data"]
        scale, patch_size = settings["scale"], settings.get("patch_size", 48)
        seed, batch_size = settings.get("seed", 1), settings.get("batch_size", 16)
    except KeyError as error:
        raise InputError(f"{run.settings}: has no setting {error}; start the run again") from None
    packed = packed_images(data, scale, patch_size)
    return training_batches(packed, seed=seed, batch_size=batch_size, patch_size=patch_size)
