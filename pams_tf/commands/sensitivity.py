"""Show what each quantized tensor of a student costs in dB, one at a time.

Example: pams-sensitivity --model runs/mine_x2_pams8_all --images benchmark/Set5

All tensors have 16 bits except for one, which has the bits of the student. The tensors that cost
most are those to look at: their ranges, their layers, or their bit width. The last line printed
gives 8 bits to those that cost most, as a flag of pams-finetune.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf.commands import cli, options
from pams_tf.files import check_writable

FLAGS = cli.command_flags()
flags.DEFINE_string(
    "model",
    None,
    "The student: a run folder or a .keras file.",
    required=True,
    flag_values=FLAGS,
)
options.define_images(FLAGS)
flags.DEFINE_integer(
    "top", 20, "How many tensors to print; --json has all.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_integer(
    "raise_most",
    2,
    "To how many of the tensors that cost most the printed flag gives 8 bits.",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "save_recipe",
    None,
    "Also write the student's recipe with these 8 bits to this JSON file, for pams-finetune.",
    flag_values=FLAGS,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_sensitivity, FLAGS, __doc__, argv)


def _sensitivity() -> dict[str, Any]:
    cli.load_tensorflow()
    from pams_tf.evaluation.sensitivity import sensitivity
    from pams_tf.models import load
    from pams_tf.reporting.tables import print_table

    if FLAGS.save_recipe:
        check_writable(Path(FLAGS.save_recipe).parent)
    student = load(FLAGS.model)
    found = sensitivity(student, FLAGS.images, progress=True)
    print_table(
        f"{FLAGS.model}: {found.psnr:.3f} dB, with 16 bits everywhere {found.fine:.3f} dB",
        ("tensor", "", "bits", "costs, dB"),
        [
            (cost.name, cost.kind, str(cost.bits), f"{cost.loss:.3f}")
            for cost in found.costs[: FLAGS.top]
        ],
    )
    raised = found.layer_bits(FLAGS.raise_most)
    if raised:
        print(f"--layer_bits={','.join(f'{name}={bits}' for name, bits in raised.items())}")
    assert student.recipe is not None  # a float network has no costs
    recipe = student.recipe.replace(layer_bits={**student.recipe.layer_bits, **raised})
    if FLAGS.save_recipe:
        recipe.save(FLAGS.save_recipe)
    return {**dataclasses.asdict(found), "recipe": recipe.to_dict()}
