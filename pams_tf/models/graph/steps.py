"""A network as data: the calls to `Sites` that describe it, as JSON."""

import dataclasses
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from pams_tf.errors import InputError
from pams_tf.models.movements import movement
from pams_tf.models.sites import Geometry, Sites

IMAGE = "lr"

_CALLS = (
    "activation", "add", "clipped", "concatenate", "convolution", "depth_to_space", "function",
    "image", "known_range", "moved", "multiply", "rescaled", "shifted_image",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Step:
    """One call to `Sites`.

    Attributes:
      call: name of the method.
      name: of its result; unique within the network.
      inputs: names of the results that it reads.
      settings: its other arguments, as JSON types.
    """

    call: str
    name: str
    inputs: tuple[str, ...]
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def make(self, tensors: Mapping[str, Any], sites: Sites) -> Any:
        """Make the call."""
        inputs: list[Any] = [tensors[name] for name in self.inputs]
        if self.call in ("add", "concatenate", "multiply"):
            inputs = [inputs]
        settings = dict(self.settings)
        if "geometry" in settings:
            settings["geometry"] = Geometry(**settings["geometry"])
        return getattr(sites, self.call)(*inputs, name=self.name, **settings)


@dataclasses.dataclass(frozen=True)
class Graph:
    """A network that arrived as a Keras graph; see `reader.read`.

    It is the config and the builder of its architecture at once.

    Attributes:
      steps: the calls that describe it, in order.
      output: name of the result that is the enlarged image.
      feature: name of the result that SKT compares; None for none.
      scale: the upscaling factor.
      channels: 3 for RGB, 1 for Y.
      unit: grey levels for 1 in the network's own values, in which a file holds its tensors.
    """

    steps: tuple[Step, ...]
    output: str
    feature: str | None
    scale: int
    channels: int = 3
    unit: float = 1.0

    def connect(self, image: Any, sites: Sites) -> tuple[Any, Any]:
        """Describe the network to `sites`: image -> (enlarged image, feature)."""
        tensors = {IMAGE: image}
        for step in self.steps:
            tensors[step.name] = step.make(tensors, sites)
        return tensors[self.output], None if self.feature is None else tensors[self.feature]

    def radius(self, scale: int) -> int:
        """LR pixels on each side of an LR pixel that its enlargement depends on.

        Raises:
          InputError: it depends on the whole image.
        """
        reach: dict[str, Fraction] = {IMAGE: Fraction(0)}
        pixels: dict[str, Fraction] = {IMAGE: Fraction(1)}  # per LR pixel, on each axis
        for step in self.steps:
            here, per = (max(x[name] for name in step.inputs) for x in (reach, pixels))
            settings = step.settings
            if step.call == "convolution":
                geometry = Geometry(**settings.get("geometry", {}))
                span = (max(settings["kernel_size"]) - 1) * geometry.dilation
                here += Fraction(span - span // 2) / per
                per /= geometry.strides
            if step.call == "depth_to_space":
                per *= settings["scale"]
            if step.call == "moved":
                layer = movement(settings["movement"], settings["settings"])
                here += Fraction(layer.reach) / per
                per *= Fraction(*layer.magnification)
            reach[step.name], pixels[step.name] = here, per
        return math.ceil(reach[self.output])

    def with_feature(self, layer: str) -> "Graph":
        """The network with the result of another layer as the feature for SKT.

        Raises:
          InputError: it has no such layer.
        """
        names = [step.name for step in self.steps]
        for name in (f"{layer}_output", layer):
            if name in names:
                return dataclasses.replace(self, feature=name)
        raise InputError(f"the network has no layer {layer!r}; it has {', '.join(names)}")

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Graph":
        """The network that `to_dict` described.

        Raises:
          InputError: a call is not one of `Sites`, or a field is missing.
        """
        try:
            steps = tuple(
                Step(step["call"], step["name"], tuple(step["inputs"]), dict(step["settings"]))
                for step in fields["steps"]
            )
            if strange := {step.call for step in steps} - set(_CALLS):
                raise InputError(f"a graph has no call {', '.join(sorted(strange))}")
            return cls(**{**fields, "steps": steps})
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"the description of the graph is damaged ({error!r})") from error
