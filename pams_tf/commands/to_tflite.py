"""Export a finished student as a fully integer TensorFlow Lite file.

Example:
  pams-to-tflite --run runs/edsr_baseline_x4_pams8 --input_size 180x320 --out edsr_x4.tflite

Every learned alpha becomes the scale of an int8 tensor, alpha / 127 at 8 bits, with zero point 0.
Input and output images are bytes (uint8), or int8 (byte - 128) for an NPU, unless --io_dtype says
otherwise. A card with the recipe is written beside the file as NAME.json. For a student of scope
"body", the ranges of head and tail are calibrated on its training images, or on --calibration.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf.commands import cli, options
from pams_tf.errors import InputError
from pams_tf.streams import printable

FLAGS = cli.command_flags()
flags.DEFINE_string("run", None, "The run folder.", required=True, flag_values=FLAGS)
flags.DEFINE_list(
    "input_size",
    ["180x320"],
    "Height x width of the LR image, or dynamic to leave it open; separate several with commas.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "out",
    None,
    "The file to write; with several sizes, the size is appended to each name. "
    "Default: RUN/student_HxW.tflite.",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "variants",
    [],
    "Also write the network as float32, float16 or ptq (TensorFlow Lite's own post-training "
    "quantization), for comparison; separate several with commas.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "calibration",
    None,
    "Folder of images that calibrate the ranges of head and tail. Default: the run's training "
    "images.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "percentile",
    100.0,
    "Percentile of each calibration image's values in head and tail that a range covers; 100 trims "
    "nothing. Only for students of scope body: with scope all these ranges are learned, too.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "io_dtype",
    None,
    "Type of the input and output images: uint8 (bytes), int8 (byte - 128) or float32. The graph "
    "is int8, so int8 adds no operator and accelerators can run the whole file. With uint8, LiteRT "
    "leaves the first and the last operator to slower kernels; with float32, an NPU leaves them to "
    "the CPU. Default: uint8 for the CPU, int8 for NPUs.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "weights",
    "int8",
    "How kernels of 4 bits or fewer are stored: int8 (fast on CPUs, and all that Vela supports) or "
    "int4 (half the bytes).",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "author", "", "Author of the network, for the file's metadata.", flag_values=FLAGS
)
flags.DEFINE_string(
    "license", "", "Licence of the weights, for the file's metadata.", flag_values=FLAGS
)
flags.DEFINE_enum(
    "target",
    "cpu",
    ["cpu", "npu", "ethos-u85"],
    "What runs the file. npu: the same codes without DEPTH_TO_SPACE, which several accelerators do "
    "not support; ethos-u85: the form that Vela estimates to be fastest on that accelerator.",
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
    from pams_tf.litert.receptive_field import receptive_field
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
            print(printable(f"{exported.file}: {remark}"))
        radius, step = receptive_field(exported.file)
        least = -(-(2 * (radius or 0) + LEAST_INNER) // step) * step
        if radius is None:
            print(
                f"{exported.file}: takes a mean over the whole image, so tiles would change the "
                "result: it enlarges whole images only"
            )
        elif size is not None and min(size) < least:
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
    """--out, with the size in front of its suffix if there are several sizes."""
    if not FLAGS.out or sizes == 1:
        return FLAGS.out
    path = Path(FLAGS.out)
    return str(path.with_stem(f"{path.stem}_{size}"))
