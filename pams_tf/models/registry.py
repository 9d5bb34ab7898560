"""The registry of networks: the built-in presets and the user's own networks, by name."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from pams_tf.data.datasets import SCALES
from pams_tf.errors import InputError
from pams_tf.models.sites import Sites

Builder = Callable[[Any, Any, int, Sites], tuple[Any, Any]]
"""(image, config, scale, sites) -> (upscaled image, the feature that SKT compares)."""


class Config(Protocol):
    """The size of a network: a frozen dataclass whose fields are numbers and booleans."""

    def radius(self, scale: int) -> int:
        """LR pixels on each side of an LR pixel that its upscaled version depends on."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A builder and the config of the network it builds.

    Attributes:
      channels: of its image.
      unit: see `models.keras_sites.KerasSites`.
    """

    config: Any
    builder: Builder
    channels: int = 3
    unit: float = 1.0

    def connect(self, image: Any, scale: int, sites: Sites) -> tuple[Any, Any]:
        """Run the builder: image (N, H, W, 3) -> (image (N, s*H, s*W, 3), feature)."""
        return self.builder(image, self.config, scale, sites)

    def radius(self, scale: int) -> int:
        """LR pixels on each side of an LR pixel that its upscaled version depends on."""
        return int(self.config.radius(scale))


_PRESETS: dict[str, Architecture] = {}
_MOST = 1024  # of anything that a config counts; what is larger would never end to be built


def register(preset: str, config: Config, builder: Builder) -> None:
    """Register a network under a name, by which it is built, trained, saved, loaded and exported.

    A saved network refers to its preset by name, so a process that loads it must first import the
    module that registers it.

    Example:
      >>> import dataclasses
      >>> from pams_tf import models
      >>> @dataclasses.dataclass(frozen=True)
      ... class TinyConfig:
      ...     features: int = 16
      ...     def radius(self, scale):
      ...         return 2  # two 3x3 convolutions
      >>> def tiny(image, config, scale, sites):
      ...     x = sites.convolution(image, config.features, 3, "head", relu=True, body=False)
      ...     feature = sites.activation(x, "head_output", after_relu=True, body=False)
      ...     x = sites.convolution(feature, 3 * scale**2, 3, "tail", body=False, dtype="float32")
      ...     return sites.depth_to_space(sites.image(x), scale, "shuffle"), feature
      >>> models.register("tiny", TinyConfig(), tiny)
      >>> models.build("tiny", 2, features=8).count_params()
      1100

    Args:
      preset: the name; an existing preset of this name is replaced.
      config: a frozen dataclass of the network's size; `build` can override its fields.
      builder: describes the network through calls to `Sites`.

    Raises:
      InputError: `config` is not a frozen dataclass or has no method `radius`.

    Source: docs/own_network.md.
    """
    frozen = dataclasses.is_dataclass(config) and type(config).__dataclass_params__.frozen
    if not frozen or not callable(getattr(config, "radius", None)):
        raise InputError(
            f"config={config!r} is not possible; give a frozen dataclass with a radius(scale)"
        )
    _PRESETS[preset] = Architecture(config, builder)


def presets() -> list[str]:
    """The registered names.

    Example:
      >>> from pams_tf import models
      >>> models.presets()[:3]
      ['edsr_baseline', 'edsr', 'edsr_mobile']

    Returns:
      Names for `build`, in order of registration; `pams_tf.list_presets` tells more about each.

    Source: `register`.
    """
    return list(_PRESETS)


def architecture(preset: str, scale: int, overrides: dict[str, Any]) -> Architecture:
    """Look up a preset and apply overrides to its config.

    Raises:
      InputError: an unknown preset, scale or override, or an override of the wrong type or sign.
    """
    if preset not in _PRESETS:
        raise InputError(
            f"unknown network {preset!r}; choose one of {', '.join(_PRESETS)}, or first import the "
            "module that registers it"
        )
    if scale not in SCALES:
        raise InputError(
            f"scale={scale!r} is not possible; choose one of {', '.join(map(str, SCALES))}"
        )
    found = _PRESETS[preset]
    known = {field.name: field.type for field in dataclasses.fields(found.config)}
    for name, value in overrides.items():
        if name not in known:
            raise InputError(f"{preset} has no setting {name!r}; it has {', '.join(known)}")
        if known[name] is bool and not isinstance(value, bool):
            raise InputError(f"{name}={value!r} is not possible; choose True or False")
        if known[name] is int and not (type(value) is int and 1 <= value <= _MOST):
            raise InputError(
                f"{name}={value!r} is not possible; give a whole number from 1 to {_MOST}"
            )
        if known[name] is float and not (isinstance(value, int | float) and 0 < value < np.inf):
            raise InputError(f"{name}={value!r} is not possible; give a number above 0")
    return Architecture(dataclasses.replace(found.config, **overrides), found.builder)


def receptive_field_radius(preset: str, scale: int, **overrides: Any) -> int:
    """How far an enlarged pixel looks: the halo that tiles need to leave no seams.

    Example:
      >>> from pams_tf import models
      >>> models.receptive_field_radius("edsr_baseline", 4)
      36
      >>> models.receptive_field_radius("edsr_mobile", 2, blocks=1)
      6

    Args:
      preset, scale, **overrides: as in `build`.

    Returns:
      LR pixels on each side of an LR pixel that its upscaled version depends on.

    Raises:
      InputError: unknown preset, scale or override.

    Source: the method `radius` of the preset's config.
    """
    return architecture(preset, scale, overrides).radius(scale)
