"""Export a finished student as a fully integer TensorFlow Lite file.

Example:
  pams-to-tflite --run runs/edsr_baseline_x4_pams8 --input_size 180x320 --out edsr_x4.tflite

Every learned alpha becomes a scale of an int8 tensor, alpha / 127 at 8 bits, with zero point 0.
The file takes and gives images as int8, byte p as the code p - 128, unless --edges says otherwise.
The recipe is written beside it, as NAME.json. A student of scope "body" gets the ranges of head
and tail from the images it was trained on, or from --calibration.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from pams_tf.commands import cli, options

FLAGS = cli.command_flags()
flags.DEFINE_string("run", None, "The run folder.", required=True, flag_values=FLAGS)
flags.DEFINE_string(
    "input_size",
    "180x320",
    "Height x width of the LR image, or dynamic to leave it open.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "out", None, "The file to write. Default: RUN/student_HxW.tflite.", flag_values=FLAGS
)
flags.DEFINE_string(
    "calibration",
    None,
    "Folder of images for the ranges of head and tail. Default: the run's training images.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "edges",
    "int8",
    "Images in and out as int8 (byte - 128, nothing but integers inside), uint8 or float32.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "weights",
    "int8",
    "Kernels of 4 bits and less as int8 (fast on CPUs) or int4 (half the bytes).",
    flag_values=FLAGS,
)
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
    return cli.run(_to_tflite, FLAGS, __doc__, argv)


def _to_tflite() -> dict[str, Any]:
    input_size = None if FLAGS.input_size == "dynamic" else options.size(FLAGS.input_size)

    cli.load_tensorflow()
    from pams_tf.export.run import export_run
    from pams_tf.runs import RunFolder

    exported = export_run(
        RunFolder(FLAGS.run),
        input_size,
        out=FLAGS.out,
        calibration=FLAGS.calibration,
        edges=FLAGS.edges,
        weights=FLAGS.weights,
        target=FLAGS.target,
    )
    print(
        f"{exported.file}: {exported.bytes:,} bytes, fully integer, "
        f"{len(exported.alphas)} ranges; recipe in {exported.recipe}"
    )
    return exported.as_json()
