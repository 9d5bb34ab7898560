"""Build the package's zoo from finished runs: float weights, integer files, cards; see --help."""

import dataclasses
import io
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
from absl import flags

from pams_tf import zoo
from pams_tf.commands import cli
from pams_tf.errors import InputError
from pams_tf.files import write_text
from pams_tf.litert.card import VERSION
from pams_tf.runs import RunFolder

DESCRIPTION = """Build the zoo from finished runs, and measure its networks.

Example:
  python benchmarks/build_zoo.py --runs runs --benchmark_dir benchmark --names edsr_mobile_x2

For each NAME, RUNS/NAME is the float run (without it, the weights in the zoo are kept), and
RUNS/NAME_8bit and RUNS/NAME_4bit are its students of scope all. Writes NAME.keras,
NAME_8bit.tflite, NAME_4bit.tflite and a card for each file to the package's folder of weights.
"""

FLAGS = cli.command_flags()
flags.DEFINE_string("runs", "runs", "Folder that holds the run folders.", flag_values=FLAGS)
flags.DEFINE_list(
    "names", None, "Networks, such as edsr_mobile_x2.", required=True, flag_values=FLAGS
)
flags.DEFINE_string(
    "benchmark_dir",
    None,
    "The folder with Set5/HR and B100/HR.",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "int4", [], "Networks whose 4-bit weights are stored as int4: half the bytes.",
    flag_values=FLAGS,
)  # fmt: skip
flags.DEFINE_list(
    "unshipped", [], "Files that are measured for the card but not kept, such as "
    "edsr_nano_x3_4bit.tflite, to keep the package small.", flag_values=FLAGS,
)  # fmt: skip

SETS = ("Set5", "B100")
SIZES = {2: (180, 320), 3: (360, 640), 4: (180, 320)}
"""LR height and width of the files, by scale; x3 upscales to 1080x1920, the task of MAI 2021."""
IO_DTYPES = {2: "uint8", 3: "int8", 4: "uint8"}
"""io_dtype by scale; at 1080x1920 the two QUANTIZE operators of uint8 images take about 5 ms."""
LARGE = 8192
"""Bytes from which an array is worth a filter of its own."""
AUTHOR, LICENSE = "The pams_tf authors", "Apache-2.0"


def main(argv: Sequence[str] | None = None) -> int:
    """Run; `argv` includes the program's name. Returns the exit status."""
    return cli.run(_build, FLAGS, DESCRIPTION, argv)


def _build() -> list[dict[str, Any]]:
    cli.load_tensorflow()
    cards = [card for name in FLAGS.names for card in _cards(name)]
    for card in cards:
        path = zoo.FOLDER / f"{card['name']}.json"
        write_text(path, json.dumps(card, indent=1) + "\n")
        print(path)
    return cards


def _cards(name: str) -> list[dict[str, Any]]:
    """The cards of a network's float weights and its integer files."""
    from pams_tf import models
    from pams_tf.recipe import CARD_FORMAT

    float_run = RunFolder(Path(FLAGS.runs) / name)
    path = zoo.FOLDER / f"{name}.keras"
    if float_run.path.is_dir():
        models.save(models.load(float_run.network()), path)  # without the optimizer's state
        compress(path)
    network = models.load(path)
    settings = float_run.read_settings() if float_run.path.is_dir() else None
    runs = {bits: RunFolder(Path(FLAGS.runs) / f"{name}_{bits}bit") for bits in (8, 4)}
    runs = {bits: run for bits, run in runs.items() if run.path.is_dir()}
    sources = [settings, *(run.read_settings() for run in runs.values())]
    data = next((source["data"] for source in sources if source), "unknown")
    common = {"parameters": network.count_params(), "data": Path(data).name}
    float_card = {
        "format": CARD_FORMAT,
        "version": VERSION,
        "name": name,
        "label": "float",
        "file": path.name,
        "bytes": path.stat().st_size,
        "shipped": True,
        "network": network.preset,
        "scale": network.scale,
        "recipe": None,
        "steps": settings["steps"] if settings else None,
        "commands": [_train_command(settings, name)] if settings else [],
        "benchmarks": _benchmarks(path),
        **common,
    }
    return [
        float_card,
        *(_integer_card(name, bits, run, network.scale, common) for bits, run in runs.items()),
    ]


def compress(path: Path) -> None:
    """Compress a .keras file, a zip archive that Keras writes without compression.

    The bytes of float32 weights are hardly compressible in their order. HDF5's shuffle filter puts
    all exponents of an array beside each other, which saves a tenth; nothing is lost.
    """
    from pams_tf.models.archive import WEIGHTS

    with zipfile.ZipFile(path) as stored:
        parts = {name: stored.read(name) for name in stored.namelist()}
    parts[WEIGHTS] = _shuffled(parts[WEIGHTS])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as deflated:
        for name, content in parts.items():
            deflated.writestr(name, content)


def _shuffled(content: bytes) -> bytes:
    """The same HDF5 file with large arrays shuffled and compressed."""
    result = io.BytesIO()
    with (
        h5py.File(io.BytesIO(content)) as before,
        h5py.File(result, "w", libver="latest") as after,
    ):
        _copy(before, after)
    return result.getvalue()


def _copy(before: h5py.Group, after: h5py.Group) -> None:
    after.attrs.update(before.attrs)
    for name, item in before.items():
        if isinstance(item, h5py.Group):
            _copy(item, after.create_group(name))
            continue
        filters = {}
        if item.nbytes >= LARGE:
            filters = {"chunks": item.shape, "shuffle": True, "compression": "gzip"}
        after.create_dataset(name, data=item[()], **filters).attrs.update(item.attrs)


def _integer_card(
    name: str, bits: int, run: RunFolder, scale: int, common: dict[str, Any]
) -> dict[str, Any]:
    from pams_tf.evaluation import colours
    from pams_tf.evaluation.upscaler import Upscaler
    from pams_tf.export.run import export_run
    from pams_tf.litert.card import model_card
    from pams_tf.litert.latency import tflite_latency
    from pams_tf.reporting.machine import machine

    storage = "int4" if bits <= 4 and name in FLAGS.int4 else "int8"
    path = zoo.FOLDER / f"{name}_{bits}bit.tflite"
    io_dtype = IO_DTYPES[scale]
    options = {"weights": storage, "io_dtype": io_dtype}
    export_run(run, SIZES[scale], out=path, author=AUTHOR, license=LICENSE, **options)
    settings = run.read_settings()
    latency = tflite_latency(path, num_threads=2)
    size = "x".join(map(str, SIZES[scale]))
    export = f"python tools/to_tflite.py --run runs/{run.path.name} --input_size {size}"
    export = " ".join([export, *_flags(options, {"io_dtype": "uint8", "weights": "int8"})])
    about = machine()
    card = model_card(
        path.read_bytes(),
        path.name,
        label=f"{bits} bits",
        shipped=path.name not in FLAGS.unshipped,
        io_dtype=io_dtype,
        weights=storage,
        steps=settings["steps"],
        commands=[_finetune_command(settings, run.path.name), export],
        benchmarks=_benchmarks(path),
        colours=colours.summary(Upscaler(path), allowed=3 if bits == 8 else 4),
        machine=f"{about['cpu']}, {about['cores']} cores",
        latency={"median_ms": latency.median_ms, "input_size": size, "threads": 2},
        **common,
    )
    if not card["shipped"]:
        path.unlink()
    return card


def _benchmarks(path: Path) -> dict[str, dict[str, float]]:
    """PSNR and SSIM of a file on each set."""
    from pams_tf.evaluation.benchmark import evaluate

    results = {name: evaluate(path, Path(FLAGS.benchmark_dir) / name) for name in SETS}
    return {
        name: {"psnr": round(result.psnr, 4), "ssim": round(result.ssim, 5)}
        for name, result in results.items()
    }


def _train_command(settings: dict[str, Any], name: str) -> str:
    from pams_tf.training.settings import TrainingSettings

    usual = TrainingSettings(schedule="cosine", start="interpolation")
    # The settings of a run from an older version lack fields that were added since.
    settings = TrainingSettings().to_dict() | settings
    return _command("train", settings, usual.to_dict(), name)


def _finetune_command(settings: dict[str, Any], name: str) -> str:
    from pams_tf.recipe import QuantizationRecipe
    from pams_tf.training.settings import (
        DistillationSettings,
        best_by_default,
        best_settings,
        finetune_budget,
    )

    recipe = QuantizationRecipe.from_dict(settings["recipe"])
    defaults = DistillationSettings(**finetune_budget("short", recipe.bits)).to_dict()
    best = QuantizationRecipe.best(recipe.bits, recipe.method)
    if recipe == dataclasses.replace(best, scope=recipe.scope):
        how = [f"--recipe best --bits {recipe.bits} --scope {recipe.scope}"]
        defaults |= best_settings(recipe)
    else:
        usual = best_by_default(recipe.method, recipe.bits, own=False, budget=None)
        how = ["--recipe paper"] if usual else []
        fields = QuantizationRecipe().to_dict() | {"bits": None}  # bits always
        how += _flags(recipe.to_dict(), fields)
    return _command("finetune", settings, defaults, name, *how)


def _command(
    tool: str, settings: dict[str, Any], defaults: dict[str, Any], name: str, *first: str
) -> str:
    if settings["overrides"]:
        raise InputError(f"{name} has overrides, which the command in a card cannot express")
    untold = {"recipe", "overrides"} | (
        {"halve_every"} if settings["schedule"] == "cosine" else set()
    )
    told = {field: value for field, value in settings.items() if field not in untold}
    for field in ("data", "teacher"):  # a card should not reveal paths
        if told.get(field):
            told[field] = Path(told[field]).name
    return " ".join([f"python tools/{tool}.py", *first, *_flags(told, defaults), f"--name {name}"])


def _flags(fields: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
    """Fields that differ from their default, as flags of the same names."""
    words = []
    for field, value in fields.items():
        if value is None or value == defaults.get(field):
            continue
        if isinstance(value, dict):
            value = ",".join(f"{name}={number}" for name, number in value.items())
        text = f" {value:g}" if isinstance(value, float) else f" {value}"
        words.append(f"--{field}" + ("" if value is True else text))
    return words


if __name__ == "__main__":
    sys.exit(main())
