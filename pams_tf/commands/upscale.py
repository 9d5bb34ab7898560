"""Upscale images of any size with a model: a file, a run, a network of the zoo, or bicubic.

Examples:
  pams-upscale --model edsr_x4.tflite --input photo.jpg --out enlarged
  pams-upscale --model runs/edsr_baseline_x4_pams8 --input photos --out enlarged --format png
  pams-upscale --model edsr_x4.tflite --input 'photos/**/*.png' --out enlarged --json report.json
  pams-upscale --model edsr_x4.tflite --out enlarged --existing skip --input photos/*.png
  pams-upscale --model edsr_x4.tflite --input photos --out enlarged --shard 2/4 --json 2.json
  pams-upscale --json report.json --merge 1.json 2.json 3.json 4.json

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

import contextlib
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from pams_tf import locate
from pams_tf.commands import cli
from pams_tf.files import check_writable
from pams_tf.streams import printable

if TYPE_CHECKING:
    from rich.progress import Progress

    from pams_tf.evaluation.batch import Batch
    from pams_tf.evaluation.upscaler import Upscaler

MANY = 8
"""From so many pictures on, several processes are worth their start."""
MOST_JOBS = 4
"""Unless the user asks for more: each has a picture in memory."""

FLAGS = cli.command_flags()
flags.DEFINE_string(
    "model",
    None,
    "The model: a .tflite or .keras file, a run folder, the name of a network in the zoo, or "
    "bicubic. Required, but for --merge.",
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "input",
    None,
    "An image, a folder of images, or a pattern such as 'photos/**/*.jpg'; repeat the flag for "
    "several. Words without a flag are further inputs, so a pattern needs no quotes. Required, but "
    "for --merge.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "out", None, "Folder for the results. Required, but for --merge.", flag_values=FLAGS
)
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
    "Number of threads for a .tflite file, of all --jobs together. Default: one per core.",
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

flags.DEFINE_integer(
    "jobs",
    None,
    "Images that are read, upscaled and written at the same time, each in a process of its own. "
    "Default: one per core, at most 4, for a .tflite file and 8 images or more; otherwise 1, "
    "because a Keras network uses all cores already.",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "shard",
    "1/1",
    "I/N: only every N-th image, from the I-th on, in the order of their names; for N machines "
    "that see the same inputs, each with its own --json.",
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "merge",
    [],
    "Make one report, for --json, of those of all shards; repeat the flag for each, or give the "
    "others as words without a flag. Nothing is upscaled.",
    flag_values=FLAGS,
)


@flags.multi_flags_validator(["model", "input", "out", "merge"], flag_values=FLAGS)
def _what_is_given(given: Mapping[str, Any]) -> bool:
    missing = [f"--{name}" for name in ("model", "input", "out") if not given[name]]
    if missing and not given["merge"]:
        raise flags.ValidationError(f"{missing[0]} is missing")
    return True


RENAMED = {"overwrite": "existing=overwrite"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_upscale, FLAGS, __doc__, argv, renamed=RENAMED, more="input")


def _upscale() -> dict[str, Any]:
    if FLAGS.merge:
        return _merged()
    from pams_tf.data.finding import find_pictures
    from pams_tf.data.formats import written_suffix
    from pams_tf.evaluation.shards import counted, parse_shard, shard_of

    place, count = parse_shard(FLAGS.shard)
    found = find_pictures(FLAGS.input, Path(FLAGS.out))
    out = check_writable(FLAGS.out)
    names = [below for _, below in found.pictures]
    suffixes = [".png" if FLAGS.format == "png" else written_suffix(name.suffix) for name in names]
    sources = [source for source, _ in found.pictures]
    pairs = shard_of(list(zip(sources, _targets(names, out, suffixes), strict=True)), place, count)

    cli.load_tensorflow_for(FLAGS.model)
    from pams_tf.evaluation.batch import Batch, identity

    batch = Batch(
        FLAGS.model,
        FLAGS.scale,
        FLAGS.halo,
        FLAGS.threads,
        FLAGS.existing,
        frozenset(identity(source) for source in sources if source.exists()),
    )
    upscaler = batch.upscaler()
    for what, files_left in (
        ("not pictures by name", found.left_out),
        ("results in --out", found.results),
    ):
        if files_left:
            print(printable(f"left out, {what}: {_listed(files_left)}"), file=sys.stderr)
    files = _files(pairs, batch, upscaler)
    report = {
        "model": str(FLAGS.model),
        "scale": upscaler.scale,
        "halo": upscaler.halo,
        **counted(files),
        "files": files,
        "left_out": [str(path) for path in found.left_out],
        "results_left_out": [str(path) for path in found.results],
    }
    if count > 1:
        report["shard"] = f"{place}/{count}"
    return _checked(report)


def _files(
    pairs: Sequence[tuple[Path, Path]], batch: "Batch", upscaler: "Upscaler"
) -> list[dict[str, Any]]:
    """What came of each picture, in order; each is said as soon as it is done."""
    from pams_tf.evaluation.batch import enlarged, in_parallel
    from pams_tf.litert.interpreter import available_cores
    from pams_tf.reporting.progress import progress_bar

    files: list[dict[str, Any]] = [{}] * len(pairs)
    cores = available_cores()
    jobs = min(FLAGS.jobs or _jobs(len(pairs), cores), max(1, len(pairs)))
    with progress_bar() as bar:
        bar.add_task("", total=len(pairs))
        if jobs == 1:
            for place, (source, target) in enumerate(pairs):
                progress = partial(_show, bar, printable(source.name), place)
                progress(0, 1)
                files[place] = enlarged(source, target, batch, upscaler, progress)
                _say(files[place])
            return files
        threads = max(1, (FLAGS.threads or cores) // jobs)
        done = in_parallel(pairs, dataclasses.replace(batch, threads=threads), jobs)
        with contextlib.closing(done):
            for number, (place, entry) in enumerate(done):
                files[place] = entry
                _say(entry)
                _show(bar, printable(pairs[place][0].name), number, 1, 1)
    return files


def _jobs(pictures: int, cores: int) -> int:
    """How many processes are worth their start, where the user does not say."""
    if pictures < MANY or FLAGS.model == locate.BICUBIC:
        return 1
    return min(cores, MOST_JOBS) if locate.model_file(FLAGS.model).suffix == ".tflite" else 1


def _merged() -> dict[str, Any]:
    from pams_tf.evaluation.shards import merged
    from pams_tf.reading import read_json

    names = [*FLAGS.merge, *(FLAGS.input or ())]
    report = merged({name: read_json(name) for name in names})
    done = len(report["files"]) - report["failed"] - report["skipped"]
    print(f"{len(names)} reports: {done} upscaled, {report['skipped']} skipped")
    return _checked(report)


def _checked(report: dict[str, Any]) -> dict[str, Any]:
    """The report.

    Raises:
      Incomplete: pictures could not be upscaled.
    """
    if report["failed"]:
        what = f"{report['failed']} of {len(report['files'])} images could not be upscaled"
        raise cli.Incomplete(what, report)
    return report


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


def _say(entry: dict[str, Any]) -> None:
    if "error" in entry:
        print(printable(entry["error"]), file=sys.stderr, flush=True)
    else:
        print(printable(_line(entry)), flush=True)


def _line(entry: dict[str, Any]) -> str:
    if "skipped" in entry:
        return f"{entry['output']}: exists, skipped"
    (height, width), (out_height, out_width) = entry["input_size"], entry["output_size"]
    notes = "".join(f"; {note}" for note in entry["notes"])
    return (
        f"{entry['output']}: {height}x{width} -> {out_height}x{out_width}, "
        f"{entry['seconds']:.1f} s{notes}"
    )


def _show(bar: "Progress", name: str, before: int, tiles: int, of: int) -> None:
    """Advance the bar tile by tile, by fractions of an image."""
    bar.update(bar.task_ids[0], description=name, completed=before + tiles / of)
