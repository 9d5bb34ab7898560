"""The whole road in a few minutes, offline: fine-tune, export, run, compare.

Example:
  pams-demo --out demo

Fine-tunes the shipped float EDSR-baseline x4 to 8 bits on the built-in photographs, exports a fully
integer .tflite file, runs it with LiteRT, and compares bicubic, float, simulated and integer on
photographs that were not trained on. In --out: run/, edsr_baseline_x4.tflite with its recipe,
results.json and comparison.png.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf.commands import cli, options
from pams_tf.recipe import QuantizationRecipe

FLAGS = cli.command_flags()
flags.DEFINE_string("out", "demo", "Folder for everything the demo makes.", flag_values=FLAGS)
flags.DEFINE_integer("bits", 8, "Width of weights and activations: 2 to 8.", flag_values=FLAGS)
flags.DEFINE_integer(
    "steps", None, "Training steps. Default: the demo preset's.", flag_values=FLAGS
)
flags.DEFINE_string("input_size", "180x320", "LR size for the latency.", flag_values=FLAGS)
flags.DEFINE_string(
    "picture", "astronaut", "The validation photograph of the comparison.", flag_values=FLAGS
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_demo, FLAGS, __doc__, argv)


def _demo() -> dict[str, Any]:
    recipe = QuantizationRecipe(bits=FLAGS.bits)
    input_size = options.size(FLAGS.input_size)

    cli.load_tensorflow()
    from pams_tf.demo import run_demo
    from pams_tf.reporting.tables import print_table

    report = run_demo(
        Path(FLAGS.out),
        recipe,
        input_size,
        picture=FLAGS.picture,
        steps=FLAGS.steps,
        progress=True,
        say=print,
    )
    print_table(
        f"EDSR-baseline x4 on {report['images']} photographs; latency at {FLAGS.input_size}",
        ("", "PSNR (Y), dB", "SSIM (Y)", "size, KB", "latency, ms"),
        [
            (
                row["model"],
                f"{row['psnr']:.3f}",
                f"{row['ssim']:.4f}",
                f"{row['bytes'] / 1000:,.0f}" if row["bytes"] else "-",
                f"{row['latency_ms']:,.0f}" if row["latency_ms"] else "-",
            )
            for row in report["rows"]
        ],
    )
    print(f"The picture: {report['picture']}\nThe file:    {report['file']}")
    return report
