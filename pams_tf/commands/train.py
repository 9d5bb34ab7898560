"""Train a float super-resolution network with L1 loss, the teacher of quantized ones.

Example:
  pams-train --model edsr_mobile --scale 2 --data photographs --steps 20000 --learning_rate 4e-4
  pams-train --model plain_small --scale 3 --data photographs --budget long

The run folder holds checkpoints, logs and, at the end, model.keras: the checkpoint with the best
validation PSNR. If a run is stopped, even by a crash, the same command continues it.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from pams_tf.commands import cli, options

FLAGS = cli.command_flags()
options.define_network(FLAGS)
options.define_training(FLAGS)
flags.DEFINE_string(
    "budget",
    "short",
    "short: 1,000 steps at 1e-4; long: 30,000 steps of Muon at 6e-3 with patches of 64 LR pixels, "
    "a warm-up, clipped gradients, averaged weights and luma in the loss, for small networks. "
    "Other flags override it.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "teacher",
    None,
    "With --output_weight: a larger float network whose images are a second goal: a .keras file, a "
    "run, or a name in the zoo.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "start",
    "interpolation",
    "Initial weights: random; or interpolation: random except for a path that interpolates the "
    "image, which takes far fewer steps to train.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "start_weights",
    None,
    "A float network of the same size whose weights the run begins with, a .keras file, a run, or "
    "a name in the zoo: to go on from what another run has reached, or, at another scale, from "
    "all but its last layers.",
    flag_values=FLAGS,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_train, FLAGS, __doc__, argv)


def _train() -> dict[str, Any]:
    from pams_tf.training.settings import TrainingSettings, train_budget

    fields = train_budget(FLAGS.budget) | options.given(
        FLAGS, *options.TRAINING, "start", "start_weights"
    )
    # EDSR's own training halves the rate after 200 of 300 epochs; here it is halved after every
    # fifth of the run.
    fields.setdefault("halve_every", max(1, fields["steps"] // 5))
    settings = TrainingSettings(overrides=options.overrides(FLAGS), **fields)
    options.say_lr(settings.data, settings.scale)

    cli.load_tensorflow()
    from pams_tf.runs import RunFolder
    from pams_tf.training.jobs import train

    run = RunFolder(f"{FLAGS.runs}/{FLAGS.name or f'{FLAGS.model}_x{FLAGS.scale}'}")
    result = train(settings, run, strategy=FLAGS.strategy, progress=True)
    print(
        f"{run.model}: validation {result.best_psnr:.3f} dB, from step {result.best_step} "
        f"of {result.steps}"
    )
    return {
        "run": str(run.path),
        "model": str(run.model),
        "steps": result.steps,
        "best_step": result.best_step,
        "valid_psnr": result.best_psnr,
    }
