"""Fine-tune a float network into a quantized student (PAMS + structured knowledge transfer).

--method also accepts the baselines of the paper's Table 2: dorefa, tflite and pact.

Examples:
  pams-finetune --bits 8                                  short demo settings, built-in images
  pams-finetune --bits 4 --data DIV2K --budget paper      the paper's settings, for a GPU
  pams-finetune --bits 8 --scope all --model edsr_mobile --scale 2 --teacher runs/edsr_mobile_x2
  pams-finetune --bits 4 --method pact --data DIV2K       a baseline (Table 2)
  pams-finetune --bits 4 --skt_weight 0 --data DIV2K      without knowledge transfer (Table 6)
  pams-finetune --bits 8 --scope all --teacher mine.keras --data photos
                                                          a Keras network of your own

With --recipe=paper the student is quantized as in the paper, and starts with the weights of the
float teacher and with ranges from its Eq. 4. With --recipe=best it has the options that measured
best: --per_channel, --unsigned, --equalize, --initial_range=error and --initial_weights=fitted,
and at 4 bits or fewer --alpha_gradient=rounding, --weight_range=learned, --asymmetric and
--alpha_rate=relative, too. Other flags override each of them. That is the default for a network of
your own and, unless --budget=paper, at 4 bits or fewer. With --steps=0 nothing is trained.
The run folder holds checkpoints, logs, curves and, at the end, student.keras: the checkpoint with
the best validation PSNR. If a run is stopped, even by a crash, the same command continues it.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from pams_tf.commands import cli, options
from pams_tf.errors import InputError
from pams_tf.recipe import QuantizationRecipe

FLAGS = cli.command_flags()
options.define_network(FLAGS)
options.define_training(FLAGS)
flags.DEFINE_integer(
    "bits",
    None,
    "Bit width of weights and activations: 2 to 8, or 16. Default: 8.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "method",
    None,
    "pams: a learned symmetric range (default); pact: a learned clip; tflite: a moving average of "
    "minimum and maximum; dorefa: tanh weights and a fixed range.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "scope",
    None,
    "body: only the feature extractor, as in the paper (default); all: also head and tail.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean("per_channel", None, "One weight range per channel.", flag_values=FLAGS)
flags.DEFINE_string(
    "alpha_gradient",
    None,
    "eq3: as in the paper (default); rounding: as in the released code.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "head_tail_bits",
    None,
    "Bit width of head and tail with --scope all. Default: 8.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "unsigned",
    None,
    "With pams: tensors behind a ReLU use all codes for [0, alpha]. Not in the paper.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "equalize",
    None,
    "Give every channel between two convolutions the range of the widest before calibration. Not "
    "in the paper.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "weight_range",
    None,
    "maximum: the range of a kernel is its largest magnitude, as in the paper (default); learned: "
    "a clip that is trained.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "asymmetric",
    None,
    "With pams: two learned ends for tensors of both signs, and [0, alpha] behind a ReLU. Not in "
    "the paper.",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "layer_bits",
    None,
    "Bits of single convolutions and sites by name, such as conv_0=8,conv_0_output=8; "
    "pams-sensitivity says which want more.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "recipe",
    None,
    "best: the options that measured best (default for a network of your own and for few bits, see "
    "above); paper: those of the paper (default otherwise); or the JSON file of a recipe, or the "
    "card beside a model file, instead of the flags of the recipe.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "teacher",
    None,
    "The float network: a .keras file, which may hold any Keras network of your own, a float run, "
    "or the name of a network in the zoo (see pams-zoo); it says what --model and --scale are. "
    "Default: the zoo's network of --model and --scale.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "budget",
    None,
    "demo: 40 small steps at learning rate 3e-6 (default without --data); short: 300 steps at 1e-5 "
    "(default with --data); long: 3,000 steps with cosine schedule, warm-up, clipped gradients and "
    "averaged weights; paper: 30,000 steps at 1e-4, as in the paper. At 4 bits or fewer the "
    "learning rate is 1e-4 in all of them, but long has Muon at 1.5e-3. Other flags override it.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "alpha_learning_rate",
    1e-2,
    "Learning rate of the alphas, which have an Adam of their own.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "alpha_rate",
    None,
    "absolute: that rate is in grey levels, as in the paper (default); relative: it is a part of "
    "each alpha, so that one rate does for ranges of 1 and of 300.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "skt_weight",
    1000.0,
    "Weight of the SKT loss, relative to L1; 0 for L1 alone.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "overflow_weight",
    None,
    "Weight of a loss on activations beyond their ranges, which counts only where it agrees with "
    "the other losses.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "damping",
    None,
    "Weight, at the end, of a loss that keeps weights from swinging between two codes.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "target",
    "hr",
    "What L1 compares with: hr, the HR images; teacher, the images that the teacher makes, so that "
    "a network keeps its look, and --data may be any folder of LR images.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "skt_layer",
    None,
    "The layer of your own network whose result SKT compares. Default: the input of the last "
    "convolution before the enlargement.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "image_range",
    255.0,
    "The value of white in the input and output of your own network, 255 or 1. A Rescaling layer "
    "at either end belongs to the network.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "calibration_steps",
    None,
    "Number of batches for the initial ranges (Eq. 4).",
    flag_values=FLAGS,
)

flags.DEFINE_string(
    "initial_range",
    None,
    "ema: initial ranges from Eq. 4 of the paper (default); error: those with the smallest error "
    "of the enlarged images; random: uniform in [0, 128], drawn with --seed (the paper's Table 5).",
    flag_values=FLAGS,
)

flags.DEFINE_string(
    "initial_weights",
    None,
    "teacher: the weights of the teacher (default); fitted: kernels rounded so that every "
    "convolution computes what the teacher's does, which recovers decibels before any training.",
    flag_values=FLAGS,
)

RECIPE_FLAGS = (
    "bits", "method", "scope", "per_channel", "alpha_gradient", "head_tail_bits", "unsigned",
    "equalize", "weight_range", "asymmetric", "layer_bits",
)  # fmt: skip
NAMED_RECIPES = ("best", "paper")

RENAMED = {"edge_bits": "head_tail_bits", "preset": "budget"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_finetune, FLAGS, __doc__, argv, renamed=RENAMED)


def _finetune() -> dict[str, Any]:
    # Check the flags before TensorFlow is loaded, which takes seconds.
    recipe = _recipe()
    budget = FLAGS.budget or ("short" if FLAGS.data else "demo")

    from pams_tf.training.settings import (
        DistillationSettings,
        best_settings,
        finetune_budget,
        paper_patch_size,
        run_name,
    )

    given = options.given(
        FLAGS,
        *options.TRAINING,
        "alpha_learning_rate", "skt_weight", "overflow_weight", "damping", "calibration_steps",
        "initial_range", "initial_weights", "image_range", "skt_layer", "target", "alpha_rate",
    )  # fmt: skip
    given["overrides"] = options.overrides(FLAGS)
    DistillationSettings(**given)

    cli.load_tensorflow()
    from pams_tf import models
    from pams_tf.runs import RunFolder
    from pams_tf.training.jobs import distil
    from pams_tf.training.replicas import choose_replicas

    choose_replicas(FLAGS.strategy)  # before TensorFlow computes anything
    teacher = None
    own_network = False
    if FLAGS.teacher:
        teacher = models.load(FLAGS.teacher, FLAGS.image_range)
        given |= _of_teacher(teacher)
        own_network = teacher.graph is not None
        recipe = _recipe(own_network)
    if _best(recipe, own_network):
        given = best_settings(recipe) | given
    fields: dict[str, Any] = {"patch_size": paper_patch_size(given["model"], given["scale"])}
    fields |= finetune_budget(budget, recipe.bits)
    settings = DistillationSettings(**(fields | given))
    options.say_lr(settings.data, settings.scale)
    name = FLAGS.name or run_name(settings, recipe, own=own_network)
    run = RunFolder(f"{FLAGS.runs}/{name}")
    if budget == "demo" and not FLAGS.data:
        print(
            f"Short demo settings: {settings.steps} steps on the built-in photographs. For real "
            "results give --data, and --budget paper on a GPU."
        )
    result = distil(settings, recipe, run, teacher=teacher, strategy=FLAGS.strategy, progress=True)
    print(
        f"{run.student}: validation {result.best_psnr:.3f} dB, from step {result.best_step} "
        f"of {result.steps}"
    )
    return {
        "run": str(run.path),
        "student": str(run.student),
        "recipe": recipe.to_dict(),
        "steps": result.steps,
        "best_step": result.best_step,
        "valid_psnr": result.best_psnr,
    }


def _of_teacher(teacher: Any) -> dict[str, Any]:
    """The network that the teacher's file says it is, where no flag says which it should be."""
    own = {"model": teacher.preset, "scale": teacher.scale, "overrides": teacher.overrides}
    if options.overrides(FLAGS):
        del own["overrides"]
    return {
        name: value for name, value in own.items() if name == "overrides" or not FLAGS[name].present
    }


def _recipe(own_network: bool = False) -> QuantizationRecipe:
    fields = options.given(FLAGS, *RECIPE_FLAGS)
    if "layer_bits" in fields:
        fields["layer_bits"] = options.layer_bits(fields["layer_bits"])
    if FLAGS.recipe is None or FLAGS.recipe in NAMED_RECIPES:
        paper = QuantizationRecipe(**fields)
        return QuantizationRecipe.best(**fields) if _best(paper, own_network) else paper
    if fields:
        raise InputError(
            f"--recipe={FLAGS.recipe} and {', '.join(f'--{name}' for name in fields)} both say "
            "how to quantize; give one of them"
        )
    return QuantizationRecipe.load(FLAGS.recipe)


def _best(recipe: QuantizationRecipe, own_network: bool) -> bool:
    """Whether the run has the options that measured best, where no flag says otherwise."""
    from pams_tf.training.settings import best_by_default

    if FLAGS.recipe in NAMED_RECIPES:
        return bool(FLAGS.recipe == "best")
    return best_by_default(recipe.method, recipe.bits, own=own_network, budget=FLAGS.budget)
