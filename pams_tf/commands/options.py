"""Flags that several commands share."""

from collections.abc import Sequence
from typing import Any

from absl import flags

from pams_tf.errors import InputError
from pams_tf.streams import printable
from pams_tf.training.settings import OPTIMIZERS, PRECISIONS, SCHEDULES

OVERRIDES = (
    "blocks", "features", "layers", "growth", "res_scale", "batch_norm", "direct", "convolutions",
    "expansion",
)  # fmt: skip


def define_images(values: flags.FlagValues) -> None:
    """The flag of the images on which a network is measured."""
    flags.DEFINE_string(
        "images",
        "sample",
        "HR images: the folder of a benchmark (with HR/ in it) or of DIV2K, or any folder of "
        "images; sample stands for the built-in photographs.",
        flag_values=values,
    )


def define_network(values: flags.FlagValues) -> None:
    """Define --model, --scale and the flags that override a preset."""
    flags.DEFINE_string(
        "model",
        "edsr_baseline",
        "The network: edsr_baseline (16 blocks, 64 features), edsr (32, 256), "
        "edsr_mobile (5, 32), edsr_small (5, 48, direct), edsr_nano (3, 32, direct), "
        "plain_small (5 convolutions, 28 features), plain_medium (6, 32), plain_large (7, 48), "
        "rdn (D16 C8 G64), rdn_a (D20 C6 G32) or rdn_small (D4 C4 G16).",
        flag_values=values,
    )
    flags.DEFINE_integer("scale", 4, "Upscaling factor: 2, 3 or 4.", flag_values=values)
    flags.DEFINE_integer(
        "blocks", None, "Number of blocks. Default: the preset's.", flag_values=values
    )
    flags.DEFINE_integer(
        "features", None, "Number of features. Default: the preset's.", flag_values=values
    )
    flags.DEFINE_integer("layers", None, "Number of layers in an RDN block.", flag_values=values)
    flags.DEFINE_integer("growth", None, "Growth rate of an RDN block.", flag_values=values)
    flags.DEFINE_integer(
        "convolutions",
        None,
        "Number of convolutions of a plain network between its first and its last.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "expansion",
        None,
        "Hidden channels of a second branch beside each convolution of a plain network while it is "
        "trained; the branches are merged at the end.",
        flag_values=values,
    )
    flags.DEFINE_float("res_scale", None, "Factor of EDSR's residuals.", flag_values=values)
    flags.DEFINE_boolean(
        "batch_norm", None, "Use batch normalization in EDSR's blocks.", flag_values=values
    )
    flags.DEFINE_boolean(
        "direct",
        None,
        "Upscale EDSR's features to the image with a single convolution (pixelshuffledirect).",
        flag_values=values,
    )


TRAINING = (
    "model", "scale", "data", "valid_data", "steps", "batch_size", "patch_size", "optimizer",
    "learning_rate", "schedule", "halve_every", "warmup", "clip_norm", "ema", "luma_weight",
    "output_weight", "checkpoint_every", "log_every", "seed", "graphics", "precision", "teacher",
)  # fmt: skip
"""Flags that are fields of the settings of every run."""


def overrides(values: flags.FlagValues) -> dict[str, Any]:
    """The overrides that were given."""
    return {name: values[name].value for name in OVERRIDES if values[name].value is not None}


def define_training(values: flags.FlagValues) -> None:
    """Define the flags for data, length and learning rates of a run; None is the budget's value."""
    flags.DEFINE_string(
        "data",
        None,
        "Training images: DIV2K's folder, a benchmark, or any folder of images; missing LR images "
        "are computed like MATLAB's bicubic imresize. Default: the built-in photographs.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "valid_data",
        None,
        "Validation images, in the same layouts. Default: the built-in photographs.",
        flag_values=values,
    )
    flags.DEFINE_string("runs", "runs", "Folder that holds the run folders.", flag_values=values)
    flags.DEFINE_string(
        "name",
        None,
        "Name of the run folder. The same command with the same name continues a run that was "
        "stopped. Default: a name made from the network and the recipe.",
        flag_values=values,
    )
    flags.DEFINE_integer("batch_size", None, "Patches per step. Default: 16.", flag_values=values)
    flags.DEFINE_integer("patch_size", None, "Side of a patch, in LR pixels.", flag_values=values)
    flags.DEFINE_float(
        "graphics",
        None,
        "Share of the patches, from 0 to 1, that are of drawn pictures: flat and saturated "
        "patches, gradients, text, line art. With them a network keeps such colours.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "optimizer",
        None,
        OPTIMIZERS,
        "Optimizer of the weights: adam, as in the paper; or muon, which takes far fewer steps.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "learning_rate", None, "Initial learning rate of the weights.", flag_values=values
    )
    flags.DEFINE_enum(
        "schedule",
        None,
        SCHEDULES,
        "Learning rates: halving every --halve_every steps, or cosine, which ends at 0.",
        flag_values=values,
    )
    flags.DEFINE_integer("steps", None, "Number of training steps.", flag_values=values)
    flags.DEFINE_integer(
        "halve_every", None, "Steps between halvings of the learning rates.", flag_values=values
    )
    flags.DEFINE_integer(
        "warmup", None, "Steps over which the learning rates first rise.", flag_values=values
    )
    flags.DEFINE_float(
        "clip_norm",
        None,
        "Longest gradient of the weights (Euclidean norm); 0 for no limit.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "ema",
        None,
        "Decay of a moving average of what is trained, such as 0.999, which is validated and kept "
        "in its place; 0 for none.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "luma_weight",
        None,
        "Weight of the luma in L1, such as 0.5: errors of brightness count more than those of "
        "colour; 0 for L1 of red, green and blue, as in the paper.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "output_weight",
        None,
        "Weight of a second L1, to the images of the teacher, beside that to the HR images.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "checkpoint_every",
        None,
        "Steps between checkpoints, each of which is validated.",
        flag_values=values,
    )
    flags.DEFINE_integer("log_every", None, "Steps between rows of the logs.", flag_values=values)
    flags.DEFINE_integer("seed", 1, "Seed of all random numbers.", flag_values=values)
    flags.DEFINE_enum(
        "precision",
        "float32",
        PRECISIONS,
        "The type that convolutions compute in. mixed_bfloat16 is faster on processors and GPUs "
        "that have it, mixed_float16 on other GPUs. Variables, quantizers, losses and the exact "
        "sums of a student stay in float32.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "strategy",
        "auto",
        ["auto", "one", "mirrored", "multiworker"],
        "Where to train: on one device; mirrored on all GPUs of this machine; multiworker on all "
        "machines in the environment variable TF_CONFIG, on each of which the same command is "
        "started; or auto: what there is. A run may go on with another one.",
        flag_values=values,
    )


def given(values: flags.FlagValues, *names: str) -> dict[str, Any]:
    """The values of those flags in `names` that are not None."""
    return {name: values[name].value for name in names if values[name].value is not None}


def layer_bits(texts: Sequence[str]) -> dict[str, int]:
    """["conv_0=8", ...] -> {"conv_0": 8, ...}.

    Raises:
      InputError: a text has another form.
    """
    found = {}
    for text in texts:
        name, equals, bits = text.strip().rpartition("=")
        if not (name and equals and bits.isdecimal()):
            raise InputError(f"layer_bits {text!r} is not possible; give NAME=BITS, such as head=8")
        found[name] = int(bits)
    return found


def say_lr(data: str | None, scale: int) -> None:
    """Print how many LR images of the training data are files, where any is.

    Raises:
      InputError: the folder holds no images, or LR images that do not fit.
    """
    if data:
        from pams_tf.data import datasets

        pairs = datasets.find(data, scale)
        if pairs.lr_found:
            print(printable(f"{pairs.name}: {pairs.lr_summary}"))


def size(text: str) -> tuple[int, int]:
    """ "180x320" -> (180, 320), height first.

    Raises:
      InputError: the text has another form, or a size of 0.
    """
    height, cross, width = text.lower().partition("x")
    if not (cross and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise InputError(f"size {text!r} is not possible; give HEIGHTxWIDTH, such as 180x320")
    return int(height), int(width)
