"""Upscale images of any size with a model: a file, a run, a network of the zoo, or bicubic.

Examples:
  pams-upscale --model edsr_x4.tflite --input photo.jpg --out enlarged
  pams-upscale --model runs/edsr_baseline_x4_pams8 --input photos --out enlarged --format png
  pams-upscale --model edsr_x4.tflite --input 'photos/**/*.png' --out enlarged --json report.json
  pams-upscale --model edsr_x4.tflite --out enlarged --existing skip --input photos/*.png

Each image is written to --out under its own name and in its own format; GIF, PNM, TGA and QOI
become PNG. A large image is upscaled in overlapping tiles without visible seams: by default they
overlap by the network's receptive field. A broken image is reported and the others are still
upscaled; the exit status is then 1. Files of a folder that are no pictures by name, and results in
an --out below it, are left out and counted.

The result is upright (EXIF orientation is applied), keeps ICC profile, EXIF data of the photograph,
XMP, resolution, and the text and gamma of a PNG where its format holds them, and stays greyscale if
the input was. Alpha channels are upscaled by bicubic, and pixels that are transparent altogether
take the colour of visible neighbours. Palettes become RGB; 16 bits per channel become 8, with a
note. CMYK images and animations are rejected.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from pams_tf.commands import cli
from pams_tf.errors import InputError
from pams_tf.files import check_writable

if TYPE_CHECKING:
    from rich.progress import Progress

    from pams_tf.evaluation.upscaler import Upscaler


FLAGS = cli.command_flags()
flags.DEFINE_string(
    "model",
    None,
    "The model: a .tflite or .keras file, a run folder, the name of a network in the zoo, or "
    "bicubic.",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "input",
    None,
    "An image, a folder of images, or a pattern such as 'photos/**/*.jpg'; repeat the flag for "
    "several. Words without a flag are further inputs, so a pattern needs no quotes.",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_string("out", None, "Folder for the results.", required=True, flag_values=FLAGS)
flags.DEFINE_enum(
    "format",
    "same",
    ["same", "png"],
    "Format of the results: each image's own (JPEG and WebP at quality 95), or PNG.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "scale",
    None,
    "Upscaling factor. Default: the model's own; 4 for bicubic.",
    lower_bound=2,
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "halo",
    None,
    "LR pixels around a tile that are computed and discarded. Default: the network's receptive "
    "field, which leaves no seams. A smaller halo is faster and allows files of a smaller input "
    "size, but is visible at the cuts.",
    lower_bound=0,
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "threads",
    None,
    "Number of threads for a .tflite file. Default: one per core.",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "existing",
    "error",
    ["error", "skip", "overwrite"],
    "What to do where a result exists: report an error, leave it and go on (to continue a batch "
    "that was stopped), or replace it.",
    flag_values=FLAGS,
)

RENAMED = {"overwrite": "existing=overwrite"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_upscale, FLAGS, __doc__, argv, renamed=RENAMED, more="input")


def _upscale() -> dict[str, Any]:
    from pams_tf.data.finding import find_pictures
    from pams_tf.data.formats import written_suffix

    found = find_pictures(FLAGS.input, Path(FLAGS.out))
    pictures = found.pictures
    out = check_writable(FLAGS.out)
    names = [below for _, below in pictures]
    suffixes = [".png" if FLAGS.format == "png" else written_suffix(name.suffix) for name in names]
    targets = _targets(names, out, suffixes)

    cli.load_tensorflow_for(FLAGS.model)
    from pams_tf.evaluation.upscaler import Upscaler
    from pams_tf.reporting.progress import progress_bar

    upscaler = Upscaler(FLAGS.model, scale=FLAGS.scale, halo=FLAGS.halo, num_threads=FLAGS.threads)
    for what, files_left in (
        ("not pictures by name", found.left_out),
        ("results in --out", found.results),
    ):
        if files_left:
            print(f"left out, {what}: {_listed(files_left)}", file=sys.stderr)
    originals = {_identity(source) for source, _ in pictures if source.exists()}
    files: list[dict[str, Any]] = []
    with progress_bar() as bar:
        bar.add_task("", total=len(pictures))
        for (source, _), target in zip(pictures, targets, strict=True):
            progress = partial(_show, bar, source.name, len(files))
            progress(0, 1)
            try:
                entry = _enlarge(source, target, upscaler, originals, progress)
                print(_line(entry), flush=True)
            except (InputError, MemoryError) as error:
                entry = {"input": str(source), "error": _reason(error, source)}
                print(entry["error"], file=sys.stderr, flush=True)
            files.append(entry)
    failed = sum("error" in entry for entry in files)
    report = {
        "model": str(FLAGS.model),
        "scale": upscaler.scale,
        "halo": upscaler.halo,
        "failed": failed,
        "skipped": sum("skipped" in entry for entry in files),
        "files": files,
        "left_out": [str(path) for path in found.left_out],
        "results_left_out": [str(path) for path in found.results],
    }
    if failed:
        raise cli.Incomplete(f"{failed} of {len(files)} images could not be upscaled", report)
    return report


def _enlarge(
    source: Path,
    target: Path,
    upscaler: "Upscaler",
    originals: set[tuple[int, int]],
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    from pams_tf.data.pictures import check_format, read_picture, write_picture
    from pams_tf.evaluation.upscaler import upscale_picture

    if target.exists():
        if _identity(target) in originals:
            raise InputError(f"{target} is itself one of the inputs; choose another --out")
        if FLAGS.existing == "skip":
            return {"input": str(source), "output": str(target), "skipped": True}
        if FLAGS.existing == "error":
            raise InputError(
                f"{target} exists; give --existing skip, --existing overwrite or another --out"
            )
    begun = time.perf_counter()
    picture = read_picture(source)
    height, width = picture.rgb.shape[:2]
    sides = (height * upscaler.scale, width * upscaler.scale)
    check_format(target, *sides, alpha=picture.transparent)
    lost = write_picture(target, upscale_picture(picture, upscaler, progress))
    return {
        "input": str(source),
        "output": str(target),
        "input_size": [height, width],
        "output_size": list(sides),
        "seconds": round(time.perf_counter() - begun, 3),
        "notes": [*picture.notes, *lost],
    }


def _targets(names: Sequence[Path], out: Path, suffixes: Sequence[str]) -> list[Path]:
    """A file below `out` for each name, all distinct even on case-insensitive file systems."""
    targets: list[Path] = []
    taken: set[str] = set()
    for name, suffix in zip(names, suffixes, strict=True):
        plain = name.with_suffix(suffix)
        kind = name.suffix.lower().lstrip(".") or "2"
        target, number = plain, 1
        while str(target).casefold() in taken:
            # photo.jpg and photo.png become photo.png and photo_png.png
            target = plain.with_stem(f"{plain.stem}_{kind}" + (f"_{number}" if number > 1 else ""))
            number += 1
        taken.add(str(target).casefold())
        targets.append(out / target)
    return targets


def _listed(paths: Sequence[Path], most: int = 5) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(map(str, paths[:most])) + more


def _line(entry: dict[str, Any]) -> str:
    if "skipped" in entry:
        return f"{entry['output']}: exists, skipped"
    (height, width), (out_height, out_width) = entry["input_size"], entry["output_size"]
    notes = "".join(f"; {note}" for note in entry["notes"])
    return (
        f"{entry['output']}: {height}x{width} -> {out_height}x{out_width}, "
        f"{entry['seconds']:.1f} s{notes}"
    )


def _reason(error: Exception, source: Path) -> str:
    """A one-line message that names the image."""
    if isinstance(error, MemoryError):
        return f"{source}: too large for this machine's memory; cut it into parts"
    text = " ".join(str(error).split())
    return text if text.startswith(str(source)) else f"{source}: {text}"


def _identity(path: Path) -> tuple[int, int]:
    """An identifier of a file that does not depend on its name."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _show(bar: "Progress", name: str, before: int, tiles: int, of: int) -> None:
    """Advance the bar tile by tile, by fractions of an image."""
    bar.update(bar.task_ids[0], description=name, completed=before + tiles / of)
