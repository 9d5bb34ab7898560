"""Measure a model on benchmarks: PSNR and SSIM on Y, for bicubic, float, quantized and .tflite.

Example: pams-evaluate --model runs/edsr_int8 --benchmark Set5,B100 --benchmark_dir data --scale 4
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from pams_tf.commands import cli
from pams_tf.errors import InputError
from pams_tf.files import check_writable

FLAGS = cli.command_flags()
flags.DEFINE_string(
    "model",
    None,
    "What to measure: a run folder, a .keras file, a .tflite file, or bicubic.",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "benchmark",
    ["sample"],
    "Name of a benchmark, such as Set5, or several with commas; sample is the built-in "
    "photographs and needs no folder",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "benchmark_dir",
    None,
    "The folder that holds the benchmarks: DIR/Set5/HR/*.png, and DIR/Set5/LR_bicubic/X4/*.png "
    "if there.",
    flag_values=FLAGS,
)
flags.DEFINE_integer("scale", 4, "Factor of enlargement.", lower_bound=2, flag_values=FLAGS)
flags.DEFINE_string(
    "save_images", None, "Also save each result as DIR/BENCHMARK/NAME.png.", flag_values=FLAGS
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_evaluate, FLAGS, __doc__, argv)


def _evaluate() -> list[dict[str, Any]]:
    cli.load_tensorflow()
    from pams_tf.evaluation.benchmark import evaluate, print_table
    from pams_tf.evaluation.upscalers import load_upscaler

    # Everything that can be wrong is looked at before the first image is enlarged.
    benchmarks = [_pairs(name) for name in _names()]
    if FLAGS.save_images:
        check_writable(FLAGS.save_images)
    upscaler, label = load_upscaler(FLAGS.model, FLAGS.scale)
    results = [
        evaluate(
            upscaler,
            pairs,
            save_images=FLAGS.save_images,
            label=label,
            progress=True,
        )
        for pairs in benchmarks
    ]
    print_table(
        f"{label}, x{FLAGS.scale}",
        ("benchmark", "images", "PSNR (Y), dB", "SSIM (Y)"),
        [(r.benchmark, r.images, f"{r.psnr:.3f}", f"{r.ssim:.4f}") for r in results],
    )
    return [result.as_json() for result in results]


def _names() -> list[str]:
    names = [name.strip() for value in FLAGS.benchmark for name in value.split(",")]
    if "" in names:
        raise InputError(f"--benchmark={','.join(FLAGS.benchmark)} has an empty name; remove it")
    return names


def _pairs(name: str) -> Any:
    from pams_tf.data import datasets

    if name == "sample":
        return datasets.sample(FLAGS.scale, split="valid")
    if not FLAGS.benchmark_dir:
        raise InputError(
            f"--benchmark={name} needs --benchmark_dir, the folder that holds {name}/HR; "
            "only sample is built in"
        )
    return datasets.benchmark(FLAGS.benchmark_dir, name, FLAGS.scale)
