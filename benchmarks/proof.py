"""Count the codes in which the files that ship differ from the students they hold.

Example: python benchmarks/proof.py --images benchmark/Set5

Restores the student of every integer file of the package, runs whole images through it in Keras and
through the file in LiteRT, and compares every int8 code of every layer, from the image on. Prints
the table of docs/verification.md; the exit status is 1 if a code differs.
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from pams_tf.commands import cli

FLAGS = cli.command_flags()
flags.DEFINE_string(
    "images",
    "sample",
    "HR images: a benchmark's folder or any folder; sample stands for the built-in photographs.",
    flag_values=FLAGS,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_prove, FLAGS, __doc__, argv)


def _prove() -> dict[str, Any]:
    cli.load_tensorflow()
    import pams_tf
    from pams_tf import zoo

    rows = []
    print("| network | bits | weights | pictures | codes compared | codes that differ |")
    print("|---|---|---|---|---|---|")
    for path in sorted(zoo.FOLDER.glob("*bit.tflite")):
        card = zoo.card(path.stem)
        parity = pams_tf.verify(pams_tf.from_preset(path.stem), path, FLAGS.images)
        (xnnpack,) = parity.kernels
        row = {
            "network": path.stem.rsplit("_", 1)[0],
            "bits": parity.bits,
            "weights": card["weights"],
            "pictures": f"{parity.benchmark}, {parity.images}",
            "codes": xnnpack.codes,
            "differing": xnnpack.differing,
        }
        rows.append(row)
        cells = [f"{value:,}" if isinstance(value, int) else value for value in row.values()]
        print("| " + " | ".join(cells) + " |", flush=True)
    result = {"files": rows}
    if any(row["differing"] for row in rows):
        raise cli.Incomplete("a file is not the student that it holds", result)
    return result


if __name__ == "__main__":
    sys.exit(main())
