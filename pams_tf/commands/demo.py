"""Run the whole workflow offline in a few minutes: fine-tune, export, run and compare.

Example:
  pams-demo --out demo

Fine-tunes the shipped float EDSR-baseline x4 to 8 bits on the built-in photographs, exports a fully
integer .tflite file, runs it with LiteRT, and compares bicubic, float, simulated and integer
results, and the files of the zoo, on photographs that were not used for training. Writes run/,
edsr_baseline_x4.tflite with its recipe, results.json and comparison.png to --out.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf.commands import cli, options
from pams_tf.recipe import QuantizationRecipe

FLAGS = cli.command_flags()
flags.DEFINE_string("out", "demo", "Folder for all files of the demo.", flag_values=FLAGS)
flags.DEFINE_integer("bits", 8, "Bit width of weights and activations: 2 to 8.", flag_values=FLAGS)
flags.DEFINE_integer(
    "steps", None, "Number of training steps. Default: that of the demo budget.", flag_values=FLAGS
)
flags.DEFINE_string(
    "input_size", "180x320", "LR size at which latency is measured.", flag_values=FLAGS
)
flags.DEFINE_string(
    "picture", "astronaut", "The validation photograph for the comparison.", flag_values=FLAGS
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_demo, FLAGS, __doc__, argv)


def _demo() -> dict[str, Any]:
    recipe = QuantizationRecipe(bits=FLAGS.bits)
    input_size = options.size(FLAGS.input_size)

    cli.load_tensorflow()
    from pams_tf.demo import run_demo
    from pams_tf.reporting.progress import say, signs_of_life
    from pams_tf.reporting.tables import print_table

    with signs_of_life():
        report = run_demo(
            Path(FLAGS.out),
            recipe,
            input_size,
            picture=FLAGS.picture,
            steps=FLAGS.steps,
            progress=True,
            say=say,
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
    print(f"Comparison: {report['picture']}\nModel file: {report['file']}")
    return report
