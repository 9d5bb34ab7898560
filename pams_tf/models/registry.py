"""Names of networks: presets and their overrides."""

import dataclasses
from collections.abc import Callable
from typing import Any

from pams_tf.errors import InputError
from pams_tf.models.edsr import EDSRConfig, edsr
from pams_tf.models.rdn import RDNConfig, rdn
from pams_tf.models.upsampling import STEPS

PRESETS: dict[str, EDSRConfig | RDNConfig] = {
    "edsr_baseline": EDSRConfig(blocks=16, features=64),
    "edsr": EDSRConfig(blocks=32, features=256, res_scale=0.1),
    "edsr_mobile": EDSRConfig(blocks=5, features=32),  # the size MLPerf Mobile uses
    "edsr_small": EDSRConfig(blocks=5, features=48, direct=True),
    "edsr_nano": EDSRConfig(blocks=3, features=32, direct=True),
    "rdn": RDNConfig(blocks=16, layers=8, growth=64, features=64),
    "rdn_a": RDNConfig(blocks=20, layers=6, growth=32, features=64),
}
_CONNECT: dict[type, Callable[..., tuple[Any, Any]]] = {EDSRConfig: edsr, RDNConfig: rdn}


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A family's builder with the size it shall have."""

    config: EDSRConfig | RDNConfig
    connect: Callable[..., tuple[Any, Any]]


def architecture(preset: str, scale: int, overrides: dict[str, Any]) -> Architecture:
    """Look up a preset and change its size.

    Raises:
      InputError: unknown preset, scale or override, or a size that is not positive.
    """
    if preset not in PRESETS:
        raise InputError(f"unknown network {preset!r}; choose one of {', '.join(PRESETS)}")
    if scale not in STEPS:
        raise InputError(
            f"scale={scale!r} is not possible; choose one of {', '.join(map(str, STEPS))}"
        )
    config = PRESETS[preset]
    known = {field.name: field.type for field in dataclasses.fields(config)}
    for name, value in overrides.items():
        if name not in known:
            raise InputError(f"{preset} has no setting {name!r}; it has {', '.join(known)}")
        if known[name] is bool and not isinstance(value, bool):
            raise InputError(f"{name}={value!r} is not possible; choose True or False")
        if known[name] is int and (type(value) is not int or value < 1):
            raise InputError(f"{name}={value!r} is not possible; give a whole number from 1 up")
        if known[name] is float and not (isinstance(value, int | float) and value > 0):
            raise InputError(f"{name}={value!r} is not possible; give a number above 0")
    config = dataclasses.replace(config, **overrides)
    return Architecture(config, _CONNECT[type(config)])


def receptive_field_radius(preset: str, scale: int, **overrides: Any) -> int:
    """LR pixels on each side of a pixel that its enlargement depends on.

    36 for edsr_baseline at every scale, 133 for rdn: the halo a tile needs to have no seam.

    Raises:
      InputError: as `architecture`.
    """
    return architecture(preset, scale, overrides).config.radius(scale)
