"""Export a finished student as a fully integer TensorFlow Lite file.

Example:
  pams-to-tflite --run runs/edsr_baseline_x4_pams8 --input_size 180x320 --out edsr_x4.tflite

Every learned alpha becomes a scale of an int8 tensor, alpha / 127 at 8 bits, with zero point 0.
The file takes and gives images as bytes (uint8), or as int8 (byte - 128) for an NPU, unless
--io_dtype says otherwise. Its card, with the recipe in it, is written beside it as NAME.json. A
student of scope "body" gets the ranges of head and tail from the images it was trained on, or from
--calibration.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf.commands import cli, options
from pams_tf.errors import InputError

FLAGS = cli.command_flags()
flags.DEFINE_string("run", None, "The run folder.", required=True, flag_values=FLAGS)
flags.DEFINE_list(
    "input_size",
    ["180x320"],
    "Height x width of the LR image, or dynamic to leave it open; several with commas.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "out",
    None,
    "The file to write; with several sizes each name gets its own. "
    "Default: RUN/student_HxW.tflite.",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "variants",
    [],
    "Also write the network as float32, float16 or ptq (TensorFlow Lite's own quantization), "
    "for comparison; several with commas.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "calibration",
    None,
    "Folder of images for the ranges of head and tail. Default: the run's training images.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "percentile",
    100.0,
    "Of each calibration image's values in head and tail, what its range shall hold; 100 trims "
    "nothing. For students of scope body: scope all has learned these ranges, too.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "io_dtype",
    None,
    "Images in and out as uint8 (bytes), int8 (byte - 128) or float32. int8 spares two operators, "
    "and accelerators take such a file as a whole; LiteRT runs the QUANTIZE at the ends of the "
    "others on the CPU. Default: uint8 for the CPU, int8 for NPUs.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "weights",
    "int8",
    "Kernels of 4 bits and less as int8 (fast on CPUs, and all that Vela takes: the default for "
    "every target) or int4 (half the bytes).",
    flag_values=FLAGS,
)
flags.DEFINE_string("author", "", "Author of the network, for the file.", flag_values=FLAGS)
flags.DEFINE_string("license", "", "Licence of the weights, for the file.", flag_values=FLAGS)
flags.DEFINE_enum(
    "target",
    "cpu",
    ["cpu", "npu", "ethos-u85"],
    "What runs the file. npu: the same codes without DEPTH_TO_SPACE, which accelerators refuse; "
    "ethos-u85: the form that is fastest there, by Vela's estimate.",
    flag_values=FLAGS,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_to_tflite, FLAGS, __doc__, argv, renamed={"edges": "io_dtype"})


def _to_tflite() -> list[dict[str, Any]]:
    sizes = [None if text == "dynamic" else options.size(text) for text in FLAGS.input_size]
    if not sizes:
        raise InputError("--input_size is empty; give HEIGHTxWIDTH or dynamic")
    if FLAGS.variants and None in sizes:
        raise InputError("--variants need a size; give --input_size HEIGHTxWIDTH")

    cli.load_tensorflow()
    from pams_tf.export.run import VARIANTS, export_run, export_variant
    from pams_tf.litert.flatbuffer import read_file
    from pams_tf.litert.receptive_field import receptive_field_radius
    from pams_tf.litert.summary import remarks
    from pams_tf.litert.tiling import LEAST_INNER
    from pams_tf.runs import RunFolder

    for variant in FLAGS.variants:
        if variant not in VARIANTS:
            raise InputError(
                f"--variants: {variant!r} is not possible; choose {', '.join(VARIANTS)}"
            )
    run = RunFolder(FLAGS.run)
    results = []
    for text, size in zip(FLAGS.input_size, sizes, strict=True):
        where = {"out": _out(text, len(sizes)), "calibration": FLAGS.calibration}
        exported = export_run(
            run,
            size,
            percentile=FLAGS.percentile,
            io_dtype=FLAGS.io_dtype,
            weights=FLAGS.weights,
            target=FLAGS.target,
            author=FLAGS.author,
            license=FLAGS.license,
            **where,
        )
        print(
            f"{exported.file}: {exported.bytes:,} bytes, fully integer, "
            f"{len(exported.alphas)} ranges, {exported.io_dtype} images; card in {exported.card}"
        )
        for remark in remarks(read_file(exported.file)):
            print(f"{exported.file}: {remark}")
        least = 2 * receptive_field_radius(exported.file) + LEAST_INNER
        if size is not None and min(size) < least:
            print(
                f"{exported.file}: takes images up to {text}; to cut larger ones into tiles "
                f"without a seam it would have to take {least}x{least} or more"
            )
        results.append(exported.as_json())
        for variant in FLAGS.variants:
            assert size is not None  # refused above
            path = export_variant(run, variant, size, **where)
            print(f"{path}: {path.stat().st_size:,} bytes, {variant}, for comparison")
            results[-1].setdefault("variants", {})[variant] = str(path)
    return results


def _out(size: str, sizes: int) -> str | None:
    """--out, with the size in front of its suffix where several files are made."""
    if not FLAGS.out or sizes == 1:
        return FLAGS.out
    path = Path(FLAGS.out)
    return str(path.with_stem(f"{path.stem}_{size}"))
