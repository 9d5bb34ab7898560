"""What each option of the quantizer gains at few bits, alone and together; see --help."""

import itertools
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf.commands import cli

DESCRIPTION = """PSNR-Y of integer files after the same short training, option by option: each one
added to the paper's setting, all of them together, all but one, and all and one more. The table has
the PSNR of the paper's setting, and what the other rows gain over it; of several seeds the mean and
the standard deviation. The student is the checkpoint with the best validation PSNR on the built-in
photographs, which may be that of the start. What is measured already is not measured again.

Example:
  python benchmarks/few_bits.py --teacher runs/plain_small_x3 --data BSDS400 --images Set5,B100 \\
    --bits 4,3,2 --seeds 1,2,3 --steps 200 --results few_bits.json
"""

FLAGS = cli.command_flags()
flags.DEFINE_string(
    "teacher", None, "The float network, as in pams-finetune.", required=True, flag_values=FLAGS
)
flags.DEFINE_string(
    "data", None, "Folder of training images; default: the built-in ones.", flag_values=FLAGS
)
flags.DEFINE_list("images", ["sample"], "Benchmarks: folders, or sample.", flag_values=FLAGS)
flags.DEFINE_list("bits", ["4"], "Bit widths of the body.", flag_values=FLAGS)
flags.DEFINE_list("seeds", ["1"], "Seeds of each run.", flag_values=FLAGS)
flags.DEFINE_list("options", None, "Rows to measure; default: all.", flag_values=FLAGS)
flags.DEFINE_integer("steps", 200, "Training steps.", lower_bound=0, flag_values=FLAGS)
flags.DEFINE_integer("batch_size", 8, "Patches per step.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("patch_size", 32, "LR patch size.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_string("precision", "float32", "As in pams-finetune.", flag_values=FLAGS)
flags.DEFINE_float("learning_rate", 1e-3, "Of the weights.", flag_values=FLAGS)
flags.DEFINE_integer(
    "raised",
    2,
    "How many of the tensors that cost most get 8 bits in the row of layers at 8 bits.",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "results", "few_bits.json", "Where the figures are kept; a table beside it.", flag_values=FLAGS
)

# Fields of the recipe and of the settings that differ from the paper's.
OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "rounding gradient": ({"alpha_gradient": "rounding"}, {}),
    "unsigned": ({"unsigned": True}, {}),
    "equalized": ({"equalize": True}, {}),
    "per channel": ({"per_channel": True}, {}),
    "ranges by error": ({}, {"initial_range": "error"}),
    "fitted kernels": ({}, {"initial_weights": "fitted"}),
    "learned clip": ({"weight_range": "learned"}, {}),
    "asymmetric": ({"asymmetric": True}, {}),
    "relative rate": ({}, {"alpha_rate": "relative"}),
}
TRAINED = ("learned clip", "asymmetric", "relative rate")
"""Those that change what is trained; the others change where it starts, and one gradient."""


RAISED = "layers at 8 bits"
FURTHER: dict[str, dict[str, Any]] = {
    "the teacher's image": {"output_weight": 1.0},
    "overflow": {"overflow_weight": 0.1},
    "damping": {"damping": 0.01},
    "Muon": {"optimizer": "muon", "learning_rate": 1.5e-3},
    RAISED: {},
}
"""Settings that no recipe holds, and layers that a scan of the calibrated student names."""


def _all_but(*left_out: str) -> tuple[dict[str, Any], dict[str, Any]]:
    recipe: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for name, (fields, others) in OPTIONS.items():
        if name not in left_out:
            recipe |= fields
            settings |= others
    return recipe, settings


def _all_and(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    recipe, settings = _all_but()
    return recipe, {**settings, **changes}


ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "paper": ({}, {}),
    "rate 0.3": ({}, {"alpha_learning_rate": 0.3}),
    **OPTIONS,
    **{name: ({}, settings) for name, settings in FURTHER.items()},
    "all": _all_but(),
    **{f"all but {name}": _all_but(name) for name in OPTIONS},
    "all but these three": _all_but(*TRAINED),
    "all at rate 0.003": _all_and(alpha_learning_rate=3e-3),
    "all at rate 0.001": _all_and(alpha_learning_rate=1e-3),
    **{f"all and {name}": _all_and(**settings) for name, settings in FURTHER.items()},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is missing; `argv` includes the program's name. Returns the exit status."""
    return cli.run(_measure, FLAGS, DESCRIPTION, argv)


def _measure() -> dict[str, Any]:
    cli.load_tensorflow()
    from pams_tf import models

    results = Path(FLAGS.results)
    found = json.loads(results.read_text()) if results.exists() else {}
    teacher = models.load(FLAGS.teacher)
    network = Path(FLAGS.teacher).stem if teacher.graph else teacher.described
    if (key := f"{network} | float") not in found:
        found[key] = _figures(teacher)
        results.write_text(json.dumps(found, indent=1))
    runs = itertools.product(FLAGS.seeds, FLAGS.bits, FLAGS.options or ROWS)
    for seed, bits, row in runs:
        key = f"{network} | {bits} | {row} | {seed} | {FLAGS.steps}"
        if key not in found:
            found[key] = _run(teacher, row, int(bits), int(seed))
            results.write_text(json.dumps(found, indent=1))
            means = {name: sum(v) / len(v) for name, v in found[key].items()}
            print(key, *(f"{name} {mean:.3f}" for name, mean in means.items()), flush=True)
    table = "\n".join(tables(found))
    results.with_suffix(".md").write_text(table + "\n")
    print(table)
    return found


def _run(teacher: Any, row: str, bits: int, seed: int) -> dict[str, list[float]]:
    import pams_tf

    fields, settings = ROWS[row]
    recipe = pams_tf.QuantizationRecipe(bits=bits, scope="all", **fields)
    settings = {
        "steps": FLAGS.steps,
        "batch_size": FLAGS.batch_size,
        "patch_size": FLAGS.patch_size,
        "learning_rate": FLAGS.learning_rate,
        "precision": FLAGS.precision,
        "schedule": "cosine",
        "checkpoint_every": max(FLAGS.steps, 1),
        "seed": seed,
        "initial_range": "ema",
        "initial_weights": "teacher",
        "alpha_rate": "absolute",
        **settings,
    }
    if row.endswith(RAISED):
        start = {k: v for k, v in settings.items() if k.startswith("initial_")}
        calibrated = pams_tf.quantize(teacher, recipe, **start)
        recipe = recipe.replace(
            layer_bits=pams_tf.sensitivity(calibrated).layer_bits(count=FLAGS.raised)
        )
        print("layer_bits", recipe.layer_bits)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        student = pams_tf.finetune(teacher, recipe, FLAGS.data, run=run, **settings)
    return _figures(pams_tf.convert(student, None))


def _figures(model: Any) -> dict[str, list[float]]:
    """The PSNR of every image, by benchmark."""
    import pams_tf

    return {
        Path(images).name: [image["psnr"] for image in pams_tf.evaluate(model, images).per_image]
        for images in FLAGS.images
    }


def tables(found: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    """Markdown: a table for each network and number of steps, with a column for each bit width."""
    import numpy as np

    floats = {}
    # (network, steps) -> row -> bits -> seed -> mean PSNR of each benchmark.
    groups: dict[tuple[str, str], dict[str, dict[str, dict[str, Any]]]] = {}
    for key, figures in found.items():
        network, *rest = key.split(" | ")
        means = np.array([np.mean(images) for images in figures.values()])
        if rest == ["float"]:
            floats[network] = (" / ".join(figures), means)
            continue
        bits, row, seed, steps = rest
        runs = groups.setdefault((network, steps), {}).setdefault(row, {}).setdefault(bits, {})
        runs[seed] = means
    lines = []
    for (network, steps), rows in groups.items():
        sets, reached = floats[network]
        widths = sorted({bits for runs in rows.values() for bits in runs}, key=int, reverse=True)
        lines += [
            "",
            f"{network}, {sets}, {steps} steps; float {_psnr([reached])}",
            "",
            f"| | {' | '.join(f'{bits} bits' for bits in widths)} |",
            "|---" * (len(widths) + 1) + "|",
        ]
        for row in sorted(rows, key=list(ROWS).index):
            cells = [_cell(rows, row, bits) for bits in widths]
            lines.append(f"| {row} | {' | '.join(cells)} |")
    return lines[1:]


def _cell(rows: Mapping[str, Any], row: str, bits: str) -> str:
    """PSNR of the paper's setting, and what another row gains over it with the same seeds."""
    runs, paper = (rows.get(name, {}).get(bits, {}) for name in (row, "paper"))
    if row == "paper" or not runs.keys() & paper.keys():
        return _psnr(list(runs.values())) if runs else ""
    return _psnr([runs[seed] - paper[seed] for seed in runs if seed in paper], "+")


def _psnr(runs: Sequence[Any], sign: str = "") -> str:
    """The mean over the seeds for each benchmark; of several seeds with the standard deviation."""
    import numpy as np

    means = [f"{mean:{sign}.3f}" for mean in np.mean(runs, axis=0)]
    if len(runs) > 1:
        spread = np.std(runs, axis=0, ddof=1)
        means = [f"{mean} ± {each:.3f}" for mean, each in zip(means, spread, strict=True)]
    return " / ".join(means)


if __name__ == "__main__":
    sys.exit(main())
