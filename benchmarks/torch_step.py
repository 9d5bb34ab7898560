"""Time of a fine-tuning step against the same method in PyTorch; see --help."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from pams_tf.commands import cli
from pams_tf.errors import InputError

DESCRIPTION = """A fine-tuning step (EDSR-baseline, teacher and student) compared to the same method
in PyTorch, which benchmarks/torch_twin.py implements from the paper.

Example: python benchmarks/torch_step.py --rounds 8

Both start with the same weights and ranges and see the same batch. Steps are timed in turn in one
process, and the losses of the first ones are printed. PyTorch is timed in both of its memory
formats, and the faster one counts. Goal: at most 0.50 times PyTorch's time on a CPU with AVX-512,
and 0.75 times with AVX2 alone.

Needs pip install 'pams_tf[torch-weights]'.
"""

FLAGS = cli.command_flags()
flags.DEFINE_integer(
    "rounds", 6, "Number of timed steps of each.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_integer("batch_size", 16, "Patches per step.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("bits", 8, "Bit width of the student's body.", flag_values=FLAGS)
flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "mixed_bfloat16"],
    "Of the convolutions; PyTorch's autocast for mixed_bfloat16.",
    flag_values=FLAGS,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; `argv` includes the program's name. Returns the exit status."""
    return cli.run(_compare, FLAGS, DESCRIPTION, argv)


def _compare() -> dict[str, Any]:
    if importlib.util.find_spec("torch") is None:
        raise InputError("torch is not installed; pip install 'pams_tf[torch-weights]'")
    cli.load_tensorflow()
    from steps import timed

    from pams_tf.reporting.machine import machine, processor_features
    from pams_tf.reporting.tables import print_table

    steps = _steps(FLAGS.batch_size, FLAGS.bits, FLAGS.precision)
    losses = {name: step() for name, step in steps.items()}
    seconds = timed(steps, FLAGS.rounds)
    best = {name: min(times) for name, times in seconds.items()}
    ours, *theirs = best.values()
    features = processor_features()
    print(f"{machine()['cpu']}, {machine()['cores']} cores ({' '.join(features or ())})")
    print_table(
        f"Fine-tuning step, EDSR-baseline x4, {FLAGS.bits} bits, batch {FLAGS.batch_size}, "
        f"LR patch 48, {FLAGS.precision}",
        ("", "loss", "seconds (best)", "ours / it"),
        [
            (name, f"{losses[name]:.4f}", f"{best[name]:.2f}", f"{ours / best[name]:.2f}")
            for name in best
        ],
    )
    return {
        "machine": {**machine(), "features": features},
        "batch_size": FLAGS.batch_size,
        "bits": FLAGS.bits,
        "precision": FLAGS.precision,
        "losses": losses,
        "seconds": seconds,
        "ratio": ours / min(theirs),
    }


def _steps(batch_size: int, bits: int, precision: str) -> dict[str, Callable[[], float]]:
    """Functions that take a step and return its loss: ours, and PyTorch's in its two formats."""
    import steps
    import torch
    import torch_twin

    distiller, (lr, hr) = steps.distiller(bits, batch_size, precision)
    channels_first = [torch.tensor(image.transpose(0, 3, 1, 2).copy()) for image in (lr, hr)]
    found = {"pams_tf": steps.step(distiller, lr, hr)}
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    if precision != "float32":
        del formats["channels_last"]  # PyTorch 2.13 takes minutes for a step
    for name, memory_format in formats.items():
        networks = torch_twin.twins(distiller.student, distiller.teacher)
        student, teacher = (net.to(memory_format=memory_format) for net in networks)
        step = torch_twin.Step(student, teacher, bfloat16=precision == "mixed_bfloat16")
        batch = [image.contiguous(memory_format=memory_format) for image in channels_first]
        found[f"PyTorch {torch.__version__}, {name}"] = lambda step=step, batch=batch: step(*batch)[
            "loss"
        ]
    return found


if __name__ == "__main__":
    sys.exit(main())
