"""Which quantizer a recipe puts where."""

from typing import Any

from pams_tf.quantization.base import ActivationQuantizer
from pams_tf.quantization.dorefa import DorefaQuantizer
from pams_tf.quantization.min_max import MinMaxQuantizer
from pams_tf.quantization.pact import PactQuantizer
from pams_tf.quantization.pams import PamsQuantizer
from pams_tf.recipe import QuantizationRecipe


def activation_quantizer(
    recipe: QuantizationRecipe, name: str, *, body: bool = True, signed: bool = True
) -> ActivationQuantizer:
    """The layer that a recipe puts on a tensor.

    Args:
      recipe: how the network is quantized.
      name: of the site.
      body: False for a tensor of head or tail. Their ranges begin with the largest value seen:
        trimming the long shortcut or the image costs more than a coarser step does, and in a
        student of scope "body" nothing trains them.
      signed: False for a tensor behind a ReLU. PACT and DoReFa give it all codes from 0 to alpha,
        and so does PAMS if the recipe says `unsigned`.
    """
    bits = recipe.bits if body else recipe.head_tail_bits
    settings: dict[str, Any] = {
        "bits": bits,
        "calibration": "ema" if body else "maximum",
        "name": name,
    }
    if recipe.method == "tflite":
        return MinMaxQuantizer(initial_range=(-10.0 if signed else 0.0, 10.0), **settings)
    settings["unsigned"] = not signed and (recipe.unsigned or recipe.method != "pams")
    # Nothing keeps an int8 tensor from its code -128, so a network that is to be the copy of an
    # integer file has that code too. Narrower grids are clipped, and the paper's scope stays the
    # paper's.
    settings["full_range"] = recipe.scope == "all" and bits == 8 and not settings["unsigned"]
    if recipe.method == "pact":
        return PactQuantizer(**settings)
    if recipe.method == "dorefa":
        return DorefaQuantizer(**settings)
    return PamsQuantizer(alpha_gradient=recipe.alpha_gradient, **settings)


def kernel_quantizer(recipe: QuantizationRecipe, *, body: bool = True) -> str:
    """Which of `convolution.KERNEL_QUANTIZERS` a recipe chooses.

    The paper's Table 2 compares methods in the body. Head and tail, which it leaves in float, have
    "max_abs" under every method: DoReFa's 8-bit weights have no int8 codes.
    """
    return "dorefa" if recipe.method == "dorefa" and body else "max_abs"
