"""The cost of quantizers in training, and the speed-up of integer inference; see --help."""

import functools
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from pams_tf.commands import cli, options

DESCRIPTION = """Three ratios, each measured alternately in one process, and the speed of the input.
Beside each stands what is expected of a processor with VNNI and of one with AVX2 alone.

1. Time of one fine-tuning step with quantizers against the same distillation step without them.
2. Latency of the int8 TFLite file against the float32 file of the same network.
3. Latency of the 4-bit file, stored as int8, against the 8-bit file.
4. Images per second that one core cuts out for training, with nothing else to do
   (320 are enough for a GPU that takes 20 steps a second at batch 16).
"""

EXPECTED = ("with VNNI", "with AVX2 alone")

FLAGS = cli.command_flags()
flags.DEFINE_integer(
    "rounds", 8, "Number of timed pairs per ratio.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_integer("batch_size", 16, "Patches per training step.", flag_values=FLAGS)
flags.DEFINE_string("input_size", "180x320", "LR size for inference.", flag_values=FLAGS)
flags.DEFINE_integer("threads", 2, "Number of threads for inference.", flag_values=FLAGS)
flags.DEFINE_integer("bits", 8, "Bit width of weights and activations.", flag_values=FLAGS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run all measurements; `argv` includes the program's name. Returns the exit status."""
    return cli.run(_bench, FLAGS, DESCRIPTION, argv)


def _bench() -> dict[str, Any]:
    input_size = options.size(FLAGS.input_size)

    cli.load_tensorflow()
    from pams_tf.reporting.machine import machine, processor_features
    from pams_tf.reporting.tables import print_table

    features = processor_features()
    named = "features unknown" if features is None else " ".join(features)
    print(f"{machine()['cpu']}, {machine()['cores']} cores ({named})")
    step = training_step(FLAGS.batch_size, FLAGS.rounds)
    print_table(
        f"Training step, EDSR-baseline x4, batch {FLAGS.batch_size}, LR patch 48",
        ("", "seconds (median)", "ratio", *EXPECTED),
        [
            ("distillation, float student", f"{step['float_s']:.2f}", "", "", ""),
            (
                f"distillation, {FLAGS.bits}-bit student",
                f"{step['quantized_s']:.2f}",
                f"{step['ratio']:.2f}",
                "at most 1.15",
                "at most 1.15",
            ),
        ],
    )
    latency = inference(input_size, FLAGS.rounds)
    print_table(
        f"TFLite, EDSR-baseline x4, {FLAGS.input_size}, {FLAGS.threads} threads",
        ("", "milliseconds (median)", "faster", *EXPECTED),
        [
            ("float32", f"{latency['float_ms']:.0f}", "", "", ""),
            (
                "int8",
                f"{latency['int8_ms']:.0f}",
                f"{latency['speedup']:.2f} times",
                "at least 3.5 times",
                "1 times",
            ),
        ],
    )
    few = few_bits(input_size, FLAGS.rounds)
    print_table(
        f"TFLite, EDSR-baseline x4, {FLAGS.input_size}, {FLAGS.threads} threads",
        ("", "milliseconds (median)", "ratio", *EXPECTED),
        [
            ("8 bits", f"{few['8_bits_ms']:.0f}", "", "", ""),
            (
                "4 bits, weights as int8",
                f"{few['4_bits_ms']:.0f}",
                f"{few['ratio']:.2f} times",
                "at most 1.1",
                "at most 1.1",
            ),
        ],
    )
    images = input_speed(FLAGS.batch_size)
    print_table(
        f"Input of training, x4, batch {FLAGS.batch_size}, LR patch 48",
        ("", "images per second and core", *EXPECTED),
        [("crops of the built-in photographs", f"{images:.0f}", "at least 320", "at least 320")],
    )
    return {
        "machine": {**machine(), "features": features},
        "training_step": step,
        "inference": latency,
        "few_bits": few,
        "input_images_per_second_and_core": images,
    }


def training_step(batch_size: int, rounds: int) -> dict[str, float]:
    """Seconds per step of the quantized and the float student, timed alternately, and their ratio.

    The ratio is the median over pairs of steps.
    """
    import numpy as np
    import steps

    found = {
        name: steps.step(distiller, *images)
        for name, bits in (("quantized", FLAGS.bits), ("float", None))
        for distiller, images in [steps.distiller(bits, batch_size)]
    }
    times = steps.timed(found, rounds)
    quantized, plain = (np.array(times[name]) for name in found)
    return {
        "quantized_s": float(np.median(quantized)),
        "float_s": float(np.median(plain)),
        "ratio": float(np.median(quantized / plain)),
    }


def inference(input_size: tuple[int, int], rounds: int) -> dict[str, float]:
    """Milliseconds of the int8 and the float32 file, timed alternately, and their median ratio."""
    from pams_tf import models
    from pams_tf.export.variants import convert_float
    from pams_tf.litert.latency import paired_latency

    times = paired_latency(
        _integer_file(FLAGS.bits, input_size),
        convert_float(models.load("edsr_baseline_x4"), input_size),
        rounds,
        num_threads=FLAGS.threads,
    )
    return {
        "int8_ms": times.a.median_ms,
        "float_ms": times.b.median_ms,
        "speedup": times.ratio,
    }


def few_bits(input_size: tuple[int, int], rounds: int) -> dict[str, float]:
    """Milliseconds of the 8-bit and the 4-bit file, timed alternately, and their median ratio."""
    from pams_tf.litert.latency import paired_latency

    files = (_integer_file(bits, input_size) for bits in (8, 4))
    times = paired_latency(*files, rounds, num_threads=FLAGS.threads)
    return {
        "8_bits_ms": times.a.median_ms,
        "4_bits_ms": times.b.median_ms,
        "ratio": times.ratio,
    }


def input_speed(batch_size: int, batches: int = 100) -> float:
    """Training images per second of processor time."""
    import time

    from pams_tf.data.calibration import packed_images
    from pams_tf.data.pipeline import training_dataset

    packed = packed_images(None, 4, 48)
    data = training_dataset(packed, seed=1, start_step=0, batch_size=batch_size, patch_size=48)
    iterator = iter(data)
    next(iterator)
    start = time.process_time()
    for _ in range(batches):
        next(iterator)
    return batches * batch_size / (time.process_time() - start)


@functools.cache
def _integer_file(bits: int, input_size: tuple[int, int]) -> bytes:
    import pams_tf

    recipe = pams_tf.QuantizationRecipe(bits=bits, scope="all")
    return pams_tf.convert(pams_tf.quantize("edsr_baseline_x4", recipe), input_size)


if __name__ == "__main__":
    sys.exit(main())
