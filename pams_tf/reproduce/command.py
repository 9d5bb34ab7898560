"""Make the paper's tables and figures: train what is missing, measure, write reports.

Examples:
  pams-reproduce --table 2 --budget smoke
  pams-reproduce --table 2,5,6 --figure 5 --budget cpu --data BSDS400 --benchmark_dir benchmark
  pams-reproduce --table all --figure all --budget paper --data DIV2K --benchmark_dir benchmark

Budgets: smoke runs every code path in minutes on the built-in photographs, and its numbers mean
nothing; cpu is what 2 cores can do in hours; paper is the paper's settings, for a GPU. A run is
named by its recipe, settings and images: finished work is never repeated, and the same command
continues work that was interrupted. The plan and an estimate of its time are printed before
anything is trained; --plan stops there. Writes table_N.md, table_N.json and figure_N.png to
OUT/BUDGET.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf.commands import cli
from pams_tf.errors import InputError

FLAGS = cli.command_flags()
flags.DEFINE_multi_string(
    "table",
    [],
    "Tables to make: 1 to 6, or all; separate several with commas or repeat the flag.",
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "figure", [], "Figures to make: 2 to 5, or all; likewise.", flag_values=FLAGS
)
flags.DEFINE_string("budget", "smoke", "smoke, cpu or paper; see above.", flag_values=FLAGS)
flags.DEFINE_string(
    "data", None, "Training images: DIV2K's folder or any folder of images.", flag_values=FLAGS
)
flags.DEFINE_string(
    "benchmark_dir", None, "The folder with Set5/HR and other benchmarks.", flag_values=FLAGS
)
flags.DEFINE_multi_string(
    "sets",
    [],
    "Benchmarks to measure on, which must exist. Default: those of Set5, Set14, B100 and Urban100 "
    "that exist; cells of the others stay empty.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "teachers",
    None,
    "A folder of float networks MODEL_xSCALE.keras (such as edsr_baseline_x4.keras from "
    "pams-import-weights); those that are missing are trained.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "runs", "runs/reproduce", "Folder that holds the run folders.", flag_values=FLAGS
)
flags.DEFINE_string("out", "reports", "Folder for the reports.", flag_values=FLAGS)
flags.DEFINE_boolean("plan", False, "Only print the plan and the estimate.", flag_values=FLAGS)

_FOLDERS = ("data", "benchmark_dir", "teachers", "runs", "out")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_reproduce, FLAGS, __doc__, argv)


def _reproduce() -> dict[str, Any]:
    from pams_tf.reproduce import paper
    from pams_tf.reproduce.budgets import BUDGETS

    # Check the flags before TensorFlow is loaded, which takes seconds.
    tables = _numbers("table", FLAGS.table, paper.TABLES)
    figures = _numbers("figure", FLAGS.figure, paper.FIGURES)
    if not tables and not figures:
        raise InputError("nothing to make; give --table 1 to 6, --figure 2 to 5, or all")
    if FLAGS.budget not in BUDGETS:
        raise InputError(
            f"unknown budget {FLAGS.budget!r}; choose one of {', '.join(sorted(BUDGETS))}"
        )
    budget = BUDGETS[FLAGS.budget]
    sets = [name for value in FLAGS.sets for name in _parts("sets", value)]
    for name in ("data", "benchmark_dir", "teachers"):
        if FLAGS[name].value and not Path(FLAGS[name].value).is_dir():
            raise InputError(f"--{name}={FLAGS[name].value}: no such folder")

    cli.load_tensorflow()
    from pams_tf.reproduce.engine import Reproduction
    from pams_tf.reproduce.measure import Benchmarks, Measurements, find_benchmarks
    from pams_tf.reproduce.networks import Catalogue
    from pams_tf.reproduce.selection import Selection, needs_sets

    benchmarks = Benchmarks(None, (), ())
    if needs_sets(tables, figures):
        benchmarks = find_benchmarks(budget, FLAGS.benchmark_dir, sets or None)
    runs = Path(FLAGS.runs).resolve()
    catalogue = Catalogue(
        budget,
        runs,
        str(Path(FLAGS.data).resolve()) if FLAGS.data else None,
        Path(FLAGS.teachers).resolve() if FLAGS.teachers else None,
    )

    if benchmarks.missing:
        print(f"Not measured, their cells stay empty: {', '.join(benchmarks.missing)}", flush=True)
    measurements = Measurements(runs / "measured", benchmarks)
    selection = Selection(catalogue, measurements, tables, figures)
    work = Reproduction(selection, command=_command(), say=partial(print, flush=True))
    if FLAGS.plan:
        return {"budget": budget.name, "plan": work.plan()}
    result = {"budget": budget.name, **work.make(Path(FLAGS.out) / budget.name, progress=True)}
    for file in result["files"]:
        print(file, flush=True)
    if work.failed:
        raise cli.Incomplete(
            f"{len(work.failed)} of {len(work.jobs)} runs have failed: "
            f"{', '.join(work.failed)}; their cells are empty",
            result,
        )
    return result


def _numbers(what: str, values: Sequence[str], known: Sequence[int]) -> list[int]:
    """The requested numbers, without duplicates, in the paper's order."""
    wanted = [part for value in values for part in _parts(what, value)]
    for part in wanted:
        if part != "all" and part not in map(str, known):
            listed = ", ".join(map(str, known))
            raise InputError(f"unknown {what} {part!r}; choose from {listed}, or all")
    return [number for number in known if str(number) in wanted or "all" in wanted]


def _parts(what: str, value: str) -> list[str]:
    parts = [part.strip() for part in value.split(",")]
    if "" in parts:
        raise InputError(f"--{what}={value} has an empty name; remove it")
    return parts


def _command() -> str:
    """The command for a report, with only the names of folders: reports should not reveal paths."""
    words = [Path(sys.argv[0]).name if "reproduce" in sys.argv[0] else "pams-reproduce"]
    for name in ("table", "figure", "budget", "data", "benchmark_dir", "sets", "teachers"):
        value = FLAGS[name].value
        if value:
            values = value if isinstance(value, list) else [value]
            told = [Path(v).resolve().name if name in _FOLDERS else v for v in values]
            words.append(f"--{name} {','.join(told)}")
    return " ".join(words)
