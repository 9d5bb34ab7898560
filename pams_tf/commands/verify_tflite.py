"""Verify that a .tflite file equals the trained network, layer by layer, code by code.

Example:
  pams-verify-tflite --run runs/bsds8 --tflite bsds8.tflite --images benchmark/Set5 --out proof

Every weight code and bias is compared with that of the run. Then whole images go through the
student in Keras and through LiteRT, and the int8 codes of every layer are compared: those of the
layer alone, given LiteRT's own input codes, and cumulatively, from the image on. Writes
parity.json, parity.md and parity.png to --out. A file for an NPU is compared with a cpu file that
is exported again from the run: weights and output images must be the same, and the layers are those
of the cpu file.

The exit status is 1 if one code differs under the first of --kernels. The student computes what
XNNPACK computes, so nothing does; LiteRT's other kernels round in another way, and --max_share,
--max_difference and --max_psnr say how much may differ under them.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from pams_tf.commands import cli, options
from pams_tf.errors import InputError
from pams_tf.files import check_writable, write_text

if TYPE_CHECKING:
    from pams_tf.verification.parity import Parity

FLAGS = cli.command_flags()
flags.DEFINE_string("run", None, "The run folder.", required=True, flag_values=FLAGS)
flags.DEFINE_string("tflite", None, "The file exported from it.", required=True, flag_values=FLAGS)
options.define_images(FLAGS)
flags.DEFINE_string(
    "out", "parity", "Folder for parity.json, parity.md and parity.png.", flag_values=FLAGS
)
flags.DEFINE_list(
    "kernels",
    ["xnnpack", "builtin"],
    "LiteRT's kernels to run, separated by commas: xnnpack (the default on a CPU), builtin, "
    "reference. No code may differ under the first; the others are only shown.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "max_difference",
    0,
    "Largest allowed difference of a code in any layer, given the same codes.",
    lower_bound=0,
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "max_share",
    0.0,
    "Largest allowed share of differing codes in any layer, given the same codes.",
    lower_bound=0,
    upper_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "max_psnr",
    0.0,
    "Largest allowed difference of PSNR-Y, in dB.",
    lower_bound=0,
    flag_values=FLAGS,
)
flags.DEFINE_integer("threads", None, "Number of threads.", lower_bound=1, flag_values=FLAGS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_verify, FLAGS, __doc__, argv)


def _verify() -> dict[str, Any]:
    kernels = [name.strip() for name in FLAGS.kernels]
    out = check_writable(FLAGS.out)

    cli.load_tensorflow()
    from pams_tf import models
    from pams_tf.litert.flatbuffer import read_file
    from pams_tf.litert.interpreter import KERNELS
    from pams_tf.runs import RunFolder
    from pams_tf.verification.compare import verify
    from pams_tf.verification.parity import Tolerance
    from pams_tf.verification.report import markdown, picture

    for name in kernels or [""]:
        if name not in KERNELS:
            raise InputError(f"--kernels: {name!r} is not possible; choose {', '.join(KERNELS)}")
    student = models.load(RunFolder(FLAGS.run).network())
    if student.recipe is None:
        raise InputError(f"{FLAGS.run}: a float run; give the run of a quantized student")
    read_file(FLAGS.tflite)  # fail early: the rest takes minutes
    tolerance = Tolerance(FLAGS.max_difference, FLAGS.max_share, FLAGS.max_psnr)
    parity = verify(student, FLAGS.tflite, FLAGS.images, kernels=kernels, num_threads=FLAGS.threads)
    failures = parity.failures(tolerance, kernels[0])
    result = {
        "run": FLAGS.run,
        "tolerance": {"kernels": kernels[0], **vars(tolerance)},
        "failures": failures,
        **parity.as_json(),
    }
    write_text(out / "parity.json", json.dumps(result, indent=2) + "\n")
    write_text(out / "parity.md", markdown(parity, tolerance, failures))
    picture(out / "parity.png", parity, tolerance)
    _print(parity)
    print(f"{parity.weights:,} weights are equal; every layer in {out / 'parity.md'}")
    if failures:
        more = f"; and {len(failures) - 1} more in {out / 'parity.md'}" if failures[1:] else ""
        raise cli.Incomplete(
            f"{FLAGS.tflite}: is not the run's network: {failures[0]}{more}", result
        )
    return result


def _print(parity: "Parity") -> None:
    from pams_tf.reporting.tables import print_table

    print_table(
        f"{parity.file} on {parity.benchmark}, PSNR of the student {parity.psnr:.4f} dB",
        ("kernels", "PSNR (Y), dB", "codes", "differ", "worst layer alone", "share", "by"),
        [
            (entry.kernels, f"{entry.psnr:.4f}", f"{entry.codes:,}", f"{entry.differing:,}",
             worst.site if worst.given_codes.largest else "", f"{worst.given_codes.share:.4%}",
             max(layer.given_codes.largest for layer in entry.layers))
            for entry in parity.kernels
            for worst in [max(entry.layers, key=lambda layer: layer.given_codes.share)]
        ],
    )  # fmt: skip
    for same in parity.same_images:
        print(
            f"{same.kernels}: {same.differing:,} of {same.codes:,} image bytes of "
            f"{parity.file} differ from those of the run's cpu file, which is shown above"
        )
    for name, reason in parity.absent.items():
        print(f"{name} kernels cannot run it: {reason}")
