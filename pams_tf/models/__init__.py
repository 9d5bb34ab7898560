"""Networks: their definitions, their quantizers and their weights."""

from typing import Any

from pams_tf.backend import load_tensorflow

load_tensorflow()  # before Keras is imported

from pams_tf.models.edsr import EDSRConfig, edsr
from pams_tf.models.equalization import equalized
from pams_tf.models.files import load, save
from pams_tf.models.fitting import fit_kernels
from pams_tf.models.foreign import from_keras
from pams_tf.models.interpolation import start_as_interpolation
from pams_tf.models.merging import merged
from pams_tf.models.network import SuperResolution
from pams_tf.models.plain import PlainConfig, plain
from pams_tf.models.quantize import fully_quantized, quantize
from pams_tf.models.rdn import RDNConfig, rdn
from pams_tf.models.registry import presets, receptive_field_radius, register
from pams_tf.models.transfer import begin_with, transfer_weights, with_recipe
from pams_tf.recipe import QuantizationRecipe

__all__ = [
    "SuperResolution",
    "begin_with",
    "build",
    "equalized",
    "fit_kernels",
    "from_keras",
    "fully_quantized",
    "load",
    "merged",
    "presets",
    "quantize",
    "receptive_field_radius",
    "register",
    "save",
    "start_as_interpolation",
    "transfer_weights",
    "with_recipe",
]

register("edsr_baseline", EDSRConfig(blocks=16, features=64), edsr)
register("edsr", EDSRConfig(blocks=32, features=256, res_scale=0.1), edsr)
register("edsr_mobile", EDSRConfig(blocks=5, features=32), edsr)  # the size MLPerf Mobile uses
register("edsr_small", EDSRConfig(blocks=5, features=48, direct=True), edsr)
register("edsr_nano", EDSRConfig(blocks=3, features=32, direct=True), edsr)
register("plain_small", PlainConfig(convolutions=5, features=28), plain)  # 43 K at x3
register("plain_medium", PlainConfig(convolutions=6, features=32), plain)  # 64 K
register("plain_large", PlainConfig(convolutions=7, features=48), plain)  # 159 K
register("rdn", RDNConfig(blocks=16, layers=8, growth=64, features=64), rdn)
register("rdn_small", RDNConfig(blocks=4, layers=4, growth=16, features=32), rdn)
register("rdn_a", RDNConfig(blocks=20, layers=6, growth=32, features=64), rdn)


def build(
    preset: str, scale: int, recipe: QuantizationRecipe | None = None, **overrides: Any
) -> SuperResolution:
    """Build a network with fresh weights.

    Example:
      >>> from pams_tf import models
      >>> models.build("edsr_mobile", 2, blocks=3).described
      'edsr_mobile x2, blocks=3'

    Args:
      preset: a registered name, see `presets` and `register`.
      scale: 2, 3 or 4.
      recipe: how it is quantized; None for the float network. The ranges of a network that is
        built with a recipe are placeholders; use `quantize` for calibrated ones.
      **overrides: fields of the preset's config to change: `blocks`, `features`, and `res_scale`,
        `batch_norm`, `direct` (EDSR), `layers`, `growth` (RDN), or `convolutions`, `expansion`
        (plain).

    Returns:
      A Keras model, (N, H, W, 3) in [0, 255] -> (N, scale*H, scale*W, 3).

    Raises:
      InputError: unknown preset, scale or override.

    Source: docs/networks.md; EDSR: Lim et al., CVPRW 2017; RDN: Zhang et al., CVPR 2018.
    """
    return SuperResolution(preset, scale, recipe, overrides)
