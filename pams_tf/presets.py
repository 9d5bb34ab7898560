"""Networks by name, with the weights that come with the package."""

import dataclasses
import re
from typing import Any

from pams_tf import models, zoo
from pams_tf.errors import InputError
from pams_tf.models import SuperResolution
from pams_tf.models.registry import architecture
from pams_tf.recipe import QuantizationRecipe
from pams_tf.verification.restore import restore_student

_ZOO_NAME = re.compile(r"(?P<preset>.+)_x(?P<scale>\d)(_(?P<bits>\d)bit)?")


@dataclasses.dataclass(frozen=True)
class Preset:
    """A network that is known by name.

    Example:
      >>> import pams_tf
      >>> preset = pams_tf.list_presets()["edsr_mobile"]
      >>> preset.scales, preset.bits[2]
      ((2, 3, 4), (8, 4))

    Attributes:
      name: the preset.
      size: fields of its config and their values.
      scales: upscaling factors for which float weights ship.
      bits: upscaling factor -> widths of the fine-tuned students that ship, widest first.

    Source: `list_presets`.
    """

    name: str
    size: dict[str, Any]
    scales: tuple[int, ...]
    bits: dict[int, tuple[int, ...]]


def list_presets() -> dict[str, Preset]:
    """The networks that are known by name, and the weights that ship for each.

    Example:
      >>> import pams_tf
      >>> pams_tf.list_presets()["edsr_mobile"].scales
      (2, 3, 4)

    Returns:
      Name -> preset, in order of registration.

    Source: docs/networks.md.
    """
    return {preset: _described(preset) for preset in models.presets()}


def from_preset(
    preset: str,
    scale: int | None = None,
    *,
    bits: int | None = None,
    recipe: QuantizationRecipe | None = None,
    load_weights: bool = True,
    **overrides: Any,
) -> SuperResolution:
    """A network by name: with the float weights that ship, as a fine-tuned student, or fresh.

    Example:
      >>> import pams_tf
      >>> pams_tf.from_preset("edsr_mobile", 2).count_params()
      140483
      >>> student = pams_tf.from_preset("edsr_mobile", 2, bits=8)
      >>> student.recipe.bits, student.calibrated
      (8, True)
      >>> pams_tf.from_preset("rdn", 2, load_weights=False, blocks=2).scale
      2

    Args:
      preset: a name in `list_presets`, such as "edsr_mobile"; or a name in the zoo, which says
        the scale too, such as "edsr_mobile_x2" or "edsr_mobile_x2_8bit".
      scale: upscaling factor: 2, 3 or 4.
      bits: None for the float network; 8 or 4 for the fine-tuned student, restored from the integer
        file that ships.
      recipe: how a fresh network is quantized; with `load_weights=False` only.
      load_weights: False for freshly initialised weights.
      **overrides: fields of the preset's config, with `load_weights=False` only.

    Returns:
      A Keras model, float32 (N, H, W, 3) in [0, 255] -> (N, scale*H, scale*W, 3).

    Raises:
      InputError: an unknown preset, scale or override, or no such weights ship.

    Source: docs/networks.md.
    """
    named = _ZOO_NAME.fullmatch(preset)
    if named and preset not in models.presets():
        preset, scale = named["preset"], scale or int(named["scale"])
        bits = bits or (int(named["bits"]) if named["bits"] else None)
    if scale is None:
        raise InputError(f"the scale of {preset!r} is missing; give 2, 3 or 4")
    architecture(preset, scale, overrides)
    if not load_weights:
        return models.build(preset, scale, recipe, **overrides)
    if recipe is not None or overrides:
        raise InputError(
            "weights ship for the presets as they are; give load_weights=False beside a recipe or "
            "another size, and pams_tf.quantize to quantize float weights"
        )
    name = f"{preset}_x{scale}"
    if name not in zoo.names():
        raise InputError(
            f"no weights ship for {name} (there are: {', '.join(zoo.names())}); "
            "load_weights=False gives a fresh network"
        )
    if bits is None:
        return models.load(name)
    return restore_student(zoo.integer_file(name, bits))


def _described(preset: str) -> Preset:
    scales = tuple(s for s in (2, 3, 4) if f"{preset}_x{s}" in zoo.names())
    files = set(zoo.integer_names())
    return Preset(
        name=preset,
        size=dataclasses.asdict(architecture(preset, 2, {}).config),
        scales=scales,
        bits={s: tuple(b for b in (8, 4) if f"{preset}_x{s}_{b}bit" in files) for s in scales},
    )
