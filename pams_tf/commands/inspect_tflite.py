"""Show what is in a .tflite file: operators, ranges, bytes, MACs, memory, recipe and origin.

Example:
  pams-inspect-tflite --tflite edsr_x4.tflite

A file exported by pams-to-tflite contains its recipe, network and alphas. The guarantees of the
export are checked again; the exit status is 1 if one is broken, unless --nochecks is given.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf.commands import cli
from pams_tf.streams import printable

FLAGS = cli.command_flags()
flags.DEFINE_string("tflite", None, "The .tflite file.", required=True, flag_values=FLAGS)
flags.DEFINE_boolean("operators", True, "List every operator.", flag_values=FLAGS)
flags.DEFINE_boolean(
    "checks", True, "Exit with status 1 if a guarantee is broken.", flag_values=FLAGS
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_inspect, FLAGS, __doc__, argv)


def _inspect() -> dict[str, Any]:
    from pams_tf.litert.summary import inspect
    from pams_tf.reporting.tables import print_table

    summary = inspect(FLAGS.tflite)
    if FLAGS.operators:
        print_table(
            FLAGS.tflite,
            ("operator", "output", "kernel", "dtype", "scale", "alpha", "site", "MMAC"),
            [
                (op.name, _shape(op.output), _shape(op.kernel), op.dtype, _number(op.scale),
                 _number(op.alpha), " ".join(op.sites[:2]) + (" ..." if op.sites[2:] else ""),
                 f"{op.macs / 1e6:,.1f}" if op.macs else "")
                for op in summary.operators
            ],
        )  # fmt: skip
    for line in _about(summary.about):
        print(printable(line))
    parts = ", ".join(f"{name} {size:,}" for name, size in summary.parts.items() if size)
    print(f"{summary.bytes:,} bytes: {parts}")
    costs = "the input size is open"
    if summary.macs is not None:
        costs = (
            f"{summary.macs / 1e9:,.3f} GMAC, at least {summary.activation_bytes:,} bytes of "
            "tensors alive at once"
        )
    print(f"{len(summary.operators)} operators, {costs}")
    for check in summary.checks:
        state = {True: "kept", False: "BROKEN", None: "unknown"}[check.kept]
        print(printable(f"{state}: {check.promise}{': ' if check.detail else ''}{check.detail}"))
    for remark in summary.remarks:
        print(printable(f"note: {remark}"))
    result = {"file": Path(FLAGS.tflite).name, **summary.as_json()}
    broken = [check for check in summary.checks if check.kept is False]
    if broken and FLAGS.checks:
        raise cli.Incomplete(f"{FLAGS.tflite}: {broken[0].detail}", result)
    return result


def _about(about: Any) -> list[str]:
    if about is None:
        return ["no metadata of pams_tf: the file is older or from another tool"]
    recipe = {name: value for name, value in (about.get("recipe") or {}).items() if value != {}}
    settings = ", ".join(f"{name} {value}" for name, value in recipe.items())
    overrides = "".join(f", {k} {v}" for k, v in (about.get("overrides") or {}).items())
    images = "; ".join(
        f"{role} {tensor.get('dtype')} {_shape(tensor.get('shape') or ())}, scale "
        f"{_number(tensor.get('scale'))}, zero point {tensor.get('zero_point')}"
        for role in ("input", "output")
        for tensor in [about.get(role) or {}]
    )
    return [
        f"{about.get('preset')} x{about.get('scale')}{overrides}, from run {about.get('run')}, "
        f"by {about.get('package')}",
        f"recipe: {settings}",
        images,
    ]


def _shape(shape: Sequence[int]) -> str:
    return "x".join("?" if size < 0 else str(size) for size in shape)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
