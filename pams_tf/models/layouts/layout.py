"""What a layout is, and what reading weights by it yields."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from pams_tf.errors import InputError
from pams_tf.recipe import QuantizationRecipe

Tensors = Mapping[str, np.ndarray]
"""Arrays of float32 by their PyTorch names; kernels are OIHW."""


class Mismatch(Exception):  # noqa: N818 - an answer, not an error: the next layout is tried
    """Weights are not of a layout; the message says what did not fit."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What the user says about the network beside its weights; None and empty for nothing.

    Attributes:
      recipe: how a PAMS student is quantized (EDSR and RDN).
      overrides: fields of the preset's config, see `models.build` (EDSR and RDN).
      image_range: 1 or 255, the largest value in the images it was trained on (chains; None is 1).
    """

    recipe: QuantizationRecipe | None = None
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    image_range: int | None = None

    def __post_init__(self) -> None:
        if self.image_range not in (None, 1, 255):
            raise InputError(f"image_range={self.image_range!r} is not possible; give 1 or 255")


@dataclasses.dataclass(frozen=True)
class Fit:
    """One network that the weights can be.

    Attributes:
      layout: name of the layout.
      described: the network in words: "SRVGGNetCompact x4, 64 features, ...".
      scale: upscaling factor.
      build: makes the network with the weights, which takes and yields images in [0, 255]; raises
        InputError if the options are not for this network.
    """

    layout: str
    described: str
    scale: int
    build: Callable[[Options], keras.Model]


@dataclasses.dataclass(frozen=True)
class Layout:
    """How one family of networks names and shapes its weights.

    Attributes:
      name: what `--layout` calls it.
      names: matches every name that may occur in it.
      read: the networks of this family that the weights can be; raises Mismatch.
    """

    name: str
    names: re.Pattern[str]
    read: Callable[[Tensors], Iterable[Fit]]

    def known(self, tensors: Tensors) -> int:
        """How many of the tensors have a name of this layout."""
        return sum(self.names.fullmatch(name) is not None for name in tensors)

    def fits(self, tensors: Tensors) -> list[Fit]:
        """The networks that the weights can be.

        Raises:
          Mismatch: there is none.
        """
        strangers = [name for name in tensors if not self.names.fullmatch(name)]
        if strangers:
            raise Mismatch(f"it has no {listed(strangers, 4)}")
        return list(self.read(tensors))


def shape(tensors: Tensors, name: str) -> tuple[int, ...]:
    """The shape of a tensor.

    Raises:
      Mismatch: there is no such tensor.
    """
    if name not in tensors:
        raise Mismatch(f"{name} is missing")
    return tensors[name].shape


def printable(text: object, limit: int = 60) -> str:
    """Text from a file made fit for a message: no control characters, and not long."""
    shown = "".join(c if c.isprintable() else "?" for c in str(text)[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."


def listed(names: Iterable[object], limit: int) -> str:
    """The first `limit` names, printable, and how many more there are."""
    shown = [printable(name) for name in names]
    more = len(shown) - limit
    return ", ".join(shown[:limit]) + (f" and {more} more" if more > 0 else "")
