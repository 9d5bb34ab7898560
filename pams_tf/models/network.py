"""The network as a Keras model that knows what it was built from."""

from typing import Any

import keras

from pams_tf.backend import check_settings
from pams_tf.models.keras_sites import KerasSites, values
from pams_tf.models.registry import architecture
from pams_tf.quantization import quantizers
from pams_tf.recipe import QuantizationRecipe


@keras.saving.register_keras_serializable("pams_tf")
class SuperResolution(keras.Model):
    """(N, H, W, 3) float32 in [0, 255] -> (N, s*H, s*W, 3), unrounded and unclipped.

    Created by `build`. Saving as `.keras` includes everything it was built from.

    Attributes:
      preset, scale, overrides, recipe: what it was built from; recipe None is the float network.
      with_feature: the same layers as a model with two outputs, (image, feature); the feature
        (N, H, W, C) is what SKT compares.
      arriving, sites: site name -> the values that arrive there, and the codes behind it; see
        `KerasSites`.
      convolutions: the convolutions of codes, with the scales that an integer file computes with.
    """

    def __init__(
        self,
        preset: str,
        scale: int,
        recipe: QuantizationRecipe | None = None,
        overrides: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        check_settings()
        image = keras.Input((None, None, 3), name="lr")
        sites = KerasSites(recipe)
        network = architecture(preset, scale, overrides or {})
        output, feature = network.connect(sites.input(image), scale, sites)
        kwargs.setdefault("name", f"{preset}_x{scale}")
        super().__init__(inputs=image, outputs=sites.output(output), **kwargs)
        self.preset = preset
        self.scale = scale
        self.recipe = recipe
        self.overrides = dict(overrides or {})
        self.feature = values(feature)
        self.arriving = sites.arriving
        self.sites = sites.sites
        self.convolutions = sites.convolutions

    @property
    def identity(self) -> tuple[str, int, dict[str, Any]]:
        """What determines the architecture: preset, scale and overrides, without the recipe."""
        return self.preset, self.scale, self.overrides

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

    def get_config(self) -> dict[str, Any]:
        return {
            "preset": self.preset,
            "scale": self.scale,
            "recipe": self.recipe.to_dict() if self.recipe else None,
            "overrides": dict(self.overrides),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SuperResolution":
        config = dict(config)
        recipe = config.pop("recipe")
        return cls(recipe=QuantizationRecipe.from_dict(recipe) if recipe else None, **config)
