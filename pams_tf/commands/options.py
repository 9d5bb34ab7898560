"""Flags that several commands share, and the objects they describe."""

from typing import Any

from absl import flags

from pams_tf.errors import InputError

OVERRIDES = ("blocks", "features", "layers", "growth", "res_scale", "batch_norm", "direct")


def define_network(values: flags.FlagValues) -> None:
    """--model, --scale and the overrides of its size."""
    flags.DEFINE_string(
        "model",
        "edsr_baseline",
        "The network: edsr_baseline (16 blocks, 64 features), edsr (32, 256), "
        "edsr_mobile (5, 32), edsr_small (5, 48, direct), edsr_nano (3, 32, direct), "
        "rdn (D16 C8 G64) or rdn_a (D20 C6 G32).",
        flag_values=values,
    )
    flags.DEFINE_integer("scale", 4, "Factor of enlargement: 2, 3 or 4.", flag_values=values)
    flags.DEFINE_integer("blocks", None, "Blocks, instead of the preset's.", flag_values=values)
    flags.DEFINE_integer("features", None, "Features, instead of the preset's.", flag_values=values)
    flags.DEFINE_integer("layers", None, "Layers of an RDN block.", flag_values=values)
    flags.DEFINE_integer("growth", None, "Growth of an RDN block.", flag_values=values)
    flags.DEFINE_float("res_scale", None, "Factor on EDSR's residuals.", flag_values=values)
    flags.DEFINE_boolean(
        "batch_norm", None, "Batch normalization in EDSR's blocks.", flag_values=values
    )
    flags.DEFINE_boolean(
        "direct",
        None,
        "Enlarge EDSR's features by one convolution to the image (pixelshuffledirect).",
        flag_values=values,
    )


def overrides(values: flags.FlagValues) -> dict[str, Any]:
    """The overrides that were given."""
    return {name: values[name].value for name in OVERRIDES if values[name].value is not None}


def define_training(values: flags.FlagValues) -> None:
    """Data, length and rates of a run; None means what the preset says."""
    flags.DEFINE_string(
        "data",
        None,
        "Training images: DIV2K's folder, a benchmark set, or any folder of images; LR images "
        "are made by MATLAB's bicubic where they are absent. Default: the built-in photographs.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "valid_data",
        None,
        "Validation images, in the same layouts. Default: the built-in ones.",
        flag_values=values,
    )
    flags.DEFINE_string("runs", "runs", "Folder of the run folders.", flag_values=values)
    flags.DEFINE_string(
        "name",
        None,
        "Name of the run folder. The same command with the same name continues a run that was "
        "stopped. Default: made from the network and the recipe.",
        flag_values=values,
    )
    flags.DEFINE_integer("batch_size", None, "Patches per step. Default: 16.", flag_values=values)
    flags.DEFINE_integer("patch_size", None, "Side of a patch, in LR pixels.", flag_values=values)
    flags.DEFINE_float("learning_rate", None, "Adam's rate at the start.", flag_values=values)
    flags.DEFINE_integer("steps", None, "Training steps.", flag_values=values)
    flags.DEFINE_integer(
        "halve_every", None, "Steps between halvings of the rates.", flag_values=values
    )
    flags.DEFINE_integer(
        "checkpoint_every", None, "Steps between checkpoints, each validated.", flag_values=values
    )
    flags.DEFINE_integer("log_every", 10, "Steps between rows of the logs.", flag_values=values)
    flags.DEFINE_integer("seed", 1, "Seed of everything random.", flag_values=values)


def given(values: flags.FlagValues, *names: str) -> dict[str, Any]:
    """Those of the flags that have a value."""
    return {name: values[name].value for name in names if values[name].value is not None}


def size(text: str) -> tuple[int, int]:
    """ "180x320" -> (180, 320), height first.

    Raises:
      InputError: anything else.
    """
    height, cross, width = text.lower().partition("x")
    if not (cross and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise InputError(f"size {text!r} is not possible; give HEIGHTxWIDTH, such as 180x320")
    return int(height), int(width)
