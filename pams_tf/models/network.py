"""The network as a Keras model that knows what it was built from."""

import difflib
import re
from typing import Any

import keras

from pams_tf.backend import check_settings
from pams_tf.errors import InputError
from pams_tf.litert.reach import Reach
from pams_tf.models.graph.steps import Graph
from pams_tf.models.keras_sites import KerasSites, values
from pams_tf.models.registry import Architecture, architecture
from pams_tf.quantization import quantizers
from pams_tf.reading import excerpt
from pams_tf.recipe import QuantizationRecipe


@keras.saving.register_keras_serializable("pams_tf")
class SuperResolution(keras.Model):
    """(N, H, W, C) float32 in [0, 255] -> (N, s*H, s*W, C), unrounded and unclipped.

    Created by `build` or `from_keras`. Saving as `.keras` includes everything it was built from. C
    is 3 for RGB; a network that arrived as a Keras graph may have one channel, Y.

    Example:
      >>> import numpy as np
      >>> from pams_tf import models
      >>> network = models.build("edsr_nano", 3, blocks=1)
      >>> network.described, network.radius, network.calibrated
      ('edsr_nano x3, blocks=1', 5, True)
      >>> tuple(network(np.zeros((1, 8, 8, 3), np.float32)).shape)
      (1, 24, 24, 3)

    Attributes:
      preset, scale, overrides, recipe: what it was built from; recipe None is the float network.
      graph: the network as it arrived from Keras; None for a registered one. Its `preset` is then
        the name of the Keras model.
      with_feature: the same layers as a model with two outputs, (image, feature); the feature
        (N, H, W, C) is what SKT compares. The feature is None for a network that has none.
      arriving, sites: site name -> the values that arrive there, and the codes behind it; see
        `KerasSites`.
      convolutions: the convolutions of codes, with the scales that an integer file computes with.

    Raises:
      InputError: unknown preset, scale or override, or settings of Keras that do not fit.

    Source: docs/own_network.md.
    """

    def __init__(
        self,
        preset: str,
        scale: int,
        recipe: QuantizationRecipe | None = None,
        overrides: dict[str, Any] | None = None,
        graph: Graph | None = None,
        *,
        centred: bool = False,
        **kwargs: Any,
    ) -> None:
        check_settings()
        network = architecture(preset, scale, overrides or {}) if graph is None else of_graph(graph)
        image = keras.Input((None, None, network.channels), name="lr")
        sites = KerasSites(recipe, network.unit, centred=centred)
        output, feature = network.connect(sites.input(image), scale, sites)
        if recipe is not None:
            check_names(recipe, sites.names, f"{preset} x{scale}")
        name = kwargs.setdefault("name", f"{preset}_x{scale}")
        if not re.fullmatch("[A-Za-z0-9.][A-Za-z0-9_.>/-]*", str(name)):
            raise InputError(
                f"the name {excerpt(name)} of a network is not possible; TensorFlow takes letters "
                "and digits of ASCII, and _ . - inside"
            )
        super().__init__(inputs=image, outputs=sites.output(output), **kwargs)
        self.preset = preset
        self.scale = scale
        self.recipe = recipe
        self.overrides = dict(overrides or {})
        self.graph = graph
        self.architecture = network
        self.feature = None if feature is None else values(feature)
        self.arriving = sites.arriving
        self.sites = sites.sites
        self.convolutions = sites.convolutions

    @property
    def identity(self) -> tuple[Any, ...]:
        """What determines the architecture, without the recipe; equal for equal networks."""
        return self.preset, self.scale, self.overrides, self.graph

    @property
    def channels(self) -> int:
        """Channels of the image: 3 for RGB, 1 for Y."""
        return self.architecture.channels

    @property
    def radius(self) -> int:
        """LR pixels on each side of an LR pixel that its enlargement depends on.

        Raises:
          InputError: it depends on the whole image.
        """
        return self.architecture.radius(self.scale)

    @property
    def reach(self) -> Reach:
        """What the enlargement of an LR pixel depends on; a radius of None is the whole image."""
        return Reach(self.radius, 1) if self.graph is None else self.graph.reach

    @property
    def described(self) -> str:
        """The identity as text: "edsr_mobile x2, blocks=3"."""
        settings = "".join(f", {key}={value}" for key, value in sorted(self.overrides.items()))
        return f"{self.preset} x{self.scale}{settings}"

    @property
    def calibrated(self) -> bool:
        """Whether no range is still a placeholder; True for a float network."""
        return all(quantizer.calibrated for quantizer in quantizers(self))

    @property
    def with_feature(self) -> keras.Model:
        return keras.Model(self.inputs[0], [self.outputs[0], self.feature])

    def twin(self, recipe: QuantizationRecipe | None) -> "SuperResolution":
        """The same architecture with another recipe and fresh weights."""
        return SuperResolution(self.preset, self.scale, recipe, self.overrides, self.graph)

    def with_skt_layer(self, layer: str) -> "SuperResolution":
        """The same network with the result of another layer as the feature for SKT.

        Raises:
          InputError: it has no such layer, or did not arrive from Keras.
        """
        if self.graph is None:
            raise InputError(
                f"skt_layer={layer!r} is for a network of your own; {self.described} compares the "
                "feature of the paper"
            )
        graph = self.graph.with_feature(layer)
        other = SuperResolution(self.preset, self.scale, self.recipe, self.overrides, graph)
        other.set_weights(self.get_weights())
        return other

    def get_config(self) -> dict[str, Any]:
        return {
            "preset": self.preset,
            "scale": self.scale,
            "recipe": self.recipe.to_dict() if self.recipe else None,
            "overrides": dict(self.overrides),
            "graph": self.graph.to_dict() if self.graph else None,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SuperResolution":
        config = dict(config)
        recipe, graph = config.pop("recipe"), config.pop("graph", None)
        return cls(
            recipe=QuantizationRecipe.from_dict(recipe) if recipe else None,
            graph=Graph.from_dict(graph) if graph else None,
            **config,
        )


def check_names(recipe: QuantizationRecipe, names: list[str], network: str) -> None:
    """Check that a network has the layers for which a recipe chooses bits.

    Args:
      recipe: the recipe.
      names: of the network's convolutions and sites.
      network: what to call it.

    Raises:
      InputError: a name is not among `names`; the message lists similar ones.
    """
    for name in recipe.layer_bits:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=5, cutoff=0.4) or names[:5]
            raise InputError(
                f"layer_bits names {excerpt(name)}, which is no convolution or site of {network}; "
                f"it has {', '.join(near)}, ..."
            )


def of_graph(graph: Graph) -> Architecture:
    """The architecture of a network that arrived from Keras."""
    return Architecture(
        graph,
        lambda image, config, scale, sites: config.connect(image, sites),
        channels=graph.channels,
        unit=graph.unit,
    )
