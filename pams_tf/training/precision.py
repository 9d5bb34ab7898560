"""The type that convolutions compute in, and whether this machine has it."""

import contextlib
import sys
from collections.abc import Iterator

import keras
import tensorflow as tf

from pams_tf.errors import InputError
from pams_tf.recipe import QuantizationRecipe
from pams_tf.reporting.machine import bfloat16_support


def check_precision(name: str, recipe: QuantizationRecipe | None = None) -> None:
    """Check before any work that a precision makes sense here; says so if it is emulated.

    Raises:
      InputError: float16 without a GPU, or a recipe whose grid is finer than the precision.
    """
    if name == "float32":
        return
    if recipe is not None and not recipe.fits_int8:
        raise InputError(
            f"precision {name!r} is coarser than the grid of 16 bits, which is simulated in "
            "float; choose float32"
        )
    gpus = tf.config.list_physical_devices("GPU")
    if name == "mixed_float16" and not gpus:
        raise InputError(
            "precision 'mixed_float16' needs a GPU, and TensorFlow finds none here; choose "
            "mixed_bfloat16 or float32"
        )
    capability = [
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (8, 0))
        for gpu in gpus
    ]
    native = min(capability) >= (8, 0) if gpus else bfloat16_support()
    if name == "mixed_bfloat16" and native is False:
        print(
            f"precision 'mixed_bfloat16': this {'GPU' if gpus else 'processor'} has no bfloat16 "
            "instructions and emulates them; float32 is faster here",
            file=sys.stderr,
        )


def optimizer_for(name: str, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer; for float16, whose range is short, it works on a scaled loss."""
    if name != "mixed_float16":
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer, name=f"scaled_{optimizer.name}")


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Build layers under a Keras dtype policy, then restore the caller's."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
