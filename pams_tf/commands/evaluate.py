"""Evaluate a model on benchmarks: PSNR and SSIM on Y, for bicubic, float, quantized and .tflite.

Example: pams-evaluate --model runs/edsr_int8 --benchmark Set5,B100 --benchmark_dir data

Images are upscaled in one piece if the model can take them. A .tflite file whose constants depend
on its size, such as one for an NPU, upscales them in tiles of that size.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf.commands import cli
from pams_tf.errors import InputError
from pams_tf.files import check_writable

FLAGS = cli.command_flags()
flags.DEFINE_string(
    "model",
    None,
    "The model: a .tflite or .keras file, a run folder, the name of a network in the zoo, or "
    "bicubic.",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "benchmark",
    ["sample"],
    "Name of a benchmark, such as Set5, or several separated by commas; sample stands for the "
    "built-in photographs and needs no folder.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "benchmark_dir",
    None,
    "The folder with the benchmarks: DIR/Set5/HR/*.png and, optionally, LR images: "
    "DIR/Set5/LR_bicubic/X4/babyx4.png, DIR/Set5/LR/x4/baby.png and other common namings. LR "
    "images that are not there are made like MATLAB's bicubic imresize.",
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
    "LR pixels around a tile that are computed and discarded, where a file needs tiles. Default: "
    "the network's receptive field; a file in which it cannot be told needs the flag.",
    lower_bound=0,
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "save_images", None, "Also save each result as DIR/BENCHMARK/NAME.png.", flag_values=FLAGS
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_evaluate, FLAGS, __doc__, argv)


def _evaluate() -> list[dict[str, Any]]:
    names = _names()
    cli.load_tensorflow_for(FLAGS.model)
    from pams_tf.evaluation.benchmark import evaluate
    from pams_tf.evaluation.upscaler import Upscaler
    from pams_tf.reporting.tables import print_table

    # Check all the input before the first image is upscaled.
    upscaler = Upscaler(FLAGS.model, scale=FLAGS.scale, halo=FLAGS.halo, whole=True)
    benchmarks = [_pairs(name, upscaler.scale) for name in names]
    if FLAGS.save_images:
        check_writable(FLAGS.save_images)
    label = Path(upscaler.name).name
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
        f"{label}, x{upscaler.scale}",
        ("benchmark", "images", "PSNR (Y), dB", "SSIM (Y)"),
        [(r.benchmark, r.images, f"{r.psnr:.3f}", f"{r.ssim:.4f}") for r in results],
    )
    for pairs in benchmarks:
        print(f"{pairs.name}: {pairs.lr_summary}")
    return [result.as_json() for result in results]


def _names() -> list[str]:
    names = [name.strip() for value in FLAGS.benchmark for name in value.split(",")]
    if "" in names:
        raise InputError(f"--benchmark={','.join(FLAGS.benchmark)} has an empty name; remove it")
    return names


def _pairs(name: str, scale: int) -> Any:
    from pams_tf.data import datasets

    if name == datasets.SAMPLE_NAME:
        return datasets.sample(scale, split="valid")
    if not FLAGS.benchmark_dir:
        raise InputError(
            f"--benchmark={name} needs --benchmark_dir, the folder that holds {name}/HR; "
            "only sample is built in"
        )
    return datasets.benchmark(FLAGS.benchmark_dir, name, scale)
