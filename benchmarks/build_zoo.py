"""Make the package's zoo from finished runs: float weights, integer files, cards; see --help."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf import zoo
from pams_tf.commands import cli
from pams_tf.errors import InputError
from pams_tf.files import write_text
from pams_tf.runs import RunFolder

DESCRIPTION = """Make the zoo from finished runs, and measure what it holds.

Example:
  python benchmarks/build_zoo.py --runs runs --benchmark_dir benchmark --names edsr_mobile_x2

For each NAME, RUNS/NAME is the float run (absent: the weights in the zoo stay), RUNS/NAME_8bit
and RUNS/NAME_4bit its students of scope all. Writes NAME.keras, NAME_8bit.tflite,
NAME_4bit.tflite and the card NAME.json into the package's folder of weights.
"""

FLAGS = cli.command_flags()
flags.DEFINE_string("runs", "runs", "Folder of the run folders.", flag_values=FLAGS)
flags.DEFINE_list(
    "names", None, "Networks, such as edsr_mobile_x2.", required=True, flag_values=FLAGS
)
flags.DEFINE_string(
    "benchmark_dir",
    None,
    "Folder that holds Set5/HR and B100/HR.",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "int4", [], "Networks whose 4-bit kernels are stored as int4: half the bytes.",
    flag_values=FLAGS,
)  # fmt: skip

SETS = ("Set5", "B100")
SIZE = (180, 320)


def main(argv: Sequence[str] | None = None) -> int:
    """Run; `argv` includes the program's name. Returns the exit status."""
    return cli.run(_build, FLAGS, DESCRIPTION, argv)


def _build() -> list[dict[str, Any]]:
    cli.load_tensorflow()
    cards = []
    for name in FLAGS.names:
        cards.append(_card(name))
        path = zoo.FOLDER / f"{name}.json"
        write_text(path, json.dumps(cards[-1], indent=1) + "\n")
        print(f"{path}: {len(cards[-1]['entries'])} entries")
    return cards


def _card(name: str) -> dict[str, Any]:
    from pams_tf import models
    from pams_tf.reproduce.machine import machine

    float_run = RunFolder(Path(FLAGS.runs) / name)
    path = zoo.FOLDER / f"{name}.keras"
    if float_run.path.is_dir():
        models.save(models.load(float_run.network()), path)  # without the optimizer's state
    network = models.load(path)
    entries = [_measured("float", path, network.scale)]
    settings = float_run.read_settings() if float_run.path.is_dir() else None
    entries[0] |= {
        "steps": settings["steps"] if settings else None,
        "commands": [_train_command(settings, name)] if settings else [],
    }
    data = None
    for bits in (8, 4):
        run = RunFolder(Path(FLAGS.runs) / f"{name}_{bits}bit")
        if run.path.is_dir():
            entries.append(_integer(name, bits, run, network.scale))
            data = run.read_settings()["data"]
    about = machine()
    return {
        "name": name,
        "preset": network.preset,
        "scale": network.scale,
        "parameters": network.count_params(),
        "data": Path(settings["data"] if settings else data or "unknown").name,
        "machine": f"{about['cpu']}, {about['cores']} cores",
        "entries": entries,
    }


def _integer(name: str, bits: int, run: RunFolder, scale: int) -> dict[str, Any]:
    from pams_tf.evaluation.latency import tflite_latency
    from pams_tf.export.run import export_run

    storage = "int4" if bits <= 4 and name in FLAGS.int4 else "int8"
    path = zoo.FOLDER / f"{name}_{bits}bit.tflite"
    exported = export_run(run, SIZE, out=path, weights=storage)
    exported.recipe.unlink()  # the file holds it, and the card's name is the network's
    settings = run.read_settings()
    latency = tflite_latency(path, num_threads=2)
    export = (
        f"python tools/to_tflite.py --run runs/{run.path.name} --input_size {SIZE[0]}x{SIZE[1]}"
    )
    return _measured(f"{bits} bits", path, scale) | {
        "bits": bits,
        "weights": storage,
        "steps": settings["steps"],
        "commands": [
            _finetune_command(settings, run.path.name),
            export + (" --weights int4" if storage == "int4" else ""),
        ],
        "latency": {
            "median_ms": latency.median_ms,
            "input_size": f"{SIZE[0]}x{SIZE[1]}",
            "threads": 2,
        },
    }


def _measured(label: str, path: Path, scale: int) -> dict[str, Any]:
    from pams_tf.data import datasets
    from pams_tf.evaluation.benchmark import evaluate
    from pams_tf.evaluation.upscalers import load_upscaler

    upscaler, _ = load_upscaler(path, scale)
    results = {
        name: evaluate(upscaler, datasets.benchmark(FLAGS.benchmark_dir, name, scale))
        for name in SETS
    }
    return {
        "label": label,
        "file": path.name,
        "bytes": path.stat().st_size,
        "benchmarks": {
            name: {"psnr": round(result.psnr, 4), "ssim": round(result.ssim, 5)}
            for name, result in results.items()
        },
    }


def _train_command(settings: dict[str, Any], name: str) -> str:
    from pams_tf.training.settings import TrainingSettings

    usual = TrainingSettings(schedule="cosine", start="interpolation")
    # A run begun by an older version does not name what was added since.
    settings = TrainingSettings().to_dict() | settings
    return _command("train", settings, usual.to_dict(), name)


def _finetune_command(settings: dict[str, Any], name: str) -> str:
    from pams_tf.training.settings import DistillationSettings, finetune_preset

    recipe = settings["recipe"]
    defaults = DistillationSettings(**finetune_preset("short", recipe["bits"])).to_dict()
    width = (f"--bits {recipe['bits']}", "--scope all")
    return _command("finetune", settings, defaults, name, *width)


def _command(
    tool: str, settings: dict[str, Any], defaults: dict[str, Any], name: str, *first: str
) -> str:
    if settings["overrides"]:
        raise InputError(f"{name} has overrides, which a card's command cannot tell")
    words = list(first)
    untold = ["recipe", "overrides"]
    if settings["schedule"] == "cosine":
        untold.append("halve_every")
    for field, value in settings.items():
        if field in untold or value is None or value == defaults.get(field):
            continue
        text = f"{value:g}" if isinstance(value, float) else str(value)
        if field in ("data", "teacher"):  # where they lie is the user's business
            text = Path(text).name
        words.append(f"--{field} {text}")
    return " ".join([f"python tools/{tool}.py", *words, f"--name {name}"])


if __name__ == "__main__":
    sys.exit(main())
