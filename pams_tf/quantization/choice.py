"""Choosing the quantizers that a recipe asks for."""

from typing import Any

from pams_tf.quantization.base import ActivationQuantizer
from pams_tf.quantization.dorefa import DorefaQuantizer
from pams_tf.quantization.min_max import MinMaxQuantizer
from pams_tf.quantization.pact import PactQuantizer
from pams_tf.quantization.pams import PamsEndsQuantizer, PamsQuantizer
from pams_tf.recipe import QuantizationRecipe


def activation_quantizer(
    recipe: QuantizationRecipe,
    name: str,
    *,
    body: bool = True,
    signed: bool = True,
    ceiling: float | None = None,
) -> ActivationQuantizer:
    """The quantizer that a recipe puts on a tensor.

    Example:
      >>> import pams_tf
      >>> from pams_tf.quantization import activation_quantizer
      >>> recipe = pams_tf.QuantizationRecipe(bits=4, method="pact")
      >>> layer = activation_quantizer(recipe, "block_0_relu", signed=False)
      >>> type(layer).__name__, layer.bits, layer.unsigned
      ('PactQuantizer', 4, True)

    Args:
      recipe: how the network is quantized.
      name: name of the site.
      body: False for a tensor of the head or tail. Ranges there start at the largest value seen:
        trimming the long shortcut or the image costs more than a coarser scale does, and nothing
        trains them in a student of scope "body".
      signed: False for a tensor after a ReLU. PACT and DoReFa then use all codes from 0 to alpha,
        and so does PAMS if the recipe sets `unsigned` or `asymmetric`.
      ceiling: where the network clips the tensor, beyond which no range reaches.

    Returns:
      A layer of the recipe's method, with a range that is still a placeholder.

    Source: Li et al., ECCV 2020, Table 2, for the methods compared.
    """
    bits = recipe.bits_of(name, body=body)
    settings: dict[str, Any] = {
        "bits": bits,
        "calibration": "ema" if body else "maximum",
        "ceiling": ceiling,
        "name": name,
    }
    if recipe.method == "tflite":
        return MinMaxQuantizer(initial_range=(-10.0 if signed else 0.0, 10.0), **settings)
    if recipe.asymmetric and signed:
        return PamsEndsQuantizer(alpha_gradient=recipe.alpha_gradient, **settings)
    settings["unsigned"] = not signed and (
        recipe.unsigned or recipe.asymmetric or recipe.method != "pams"
    )
    # Nothing prevents an int8 tensor from taking the code -128, so a network that mirrors an
    # integer file uses that code too. Narrower grids are clipped in the file, and scope "body"
    # keeps the grid of the paper.
    settings["full_range"] = recipe.scope == "all" and bits == 8 and not settings["unsigned"]
    if recipe.method == "pact":
        return PactQuantizer(**settings)
    if recipe.method == "dorefa":
        return DorefaQuantizer(**settings)
    return PamsQuantizer(alpha_gradient=recipe.alpha_gradient, **settings)


def kernel_quantizer(recipe: QuantizationRecipe, *, body: bool = True) -> str:
    """The `kernel_quantizer` of the `QuantConv2D` layers that a recipe asks for.

    The paper's Table 2 compares methods in the body. Head and tail, which it leaves in float, use
    "max_abs" with DoReFa, too, because its 8-bit weights have no int8 codes.

    Example:
      >>> import pams_tf
      >>> from pams_tf.quantization import kernel_quantizer
      >>> recipe = pams_tf.QuantizationRecipe(method="dorefa")
      >>> kernel_quantizer(recipe), kernel_quantizer(recipe, body=False)
      ('dorefa', 'max_abs')

    Args:
      recipe: how the network is quantized.
      body: False for a convolution of the head or tail.

    Returns:
      "max_abs", "learned" or "dorefa".

    Source: Li et al., ECCV 2020, Table 2.
    """
    if recipe.method == "dorefa":
        return "dorefa" if body else "max_abs"
    return "learned" if recipe.weight_range == "learned" else "max_abs"
