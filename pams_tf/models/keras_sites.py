"""Sites as Keras layers: builds the float network and the student of any recipe."""

from collections.abc import Sequence
from typing import Any

import keras

from pams_tf.models.blocks import ChannelShift, DepthToSpace
from pams_tf.models.sites import Sites
from pams_tf.quantization import (
    QuantConv2D,
    RangeQuantizer,
    activation_quantizer,
    kernel_quantizer,
)
from pams_tf.recipe import QuantizationRecipe

SHIFT_STEPS = 127
"""An integer file holds the image shift in steps of 1/127: weight code 127, image scale 1."""


class KerasSites(Sites):
    """Adds the quantizers of a recipe at the sites; without a recipe, none.

    Attributes:
      recipe: the recipe, or None for the float network.
      arriving: name of each activation site -> the tensor that arrives there, before any
        quantizer; calibration observes these tensors.
    """

    def __init__(self, recipe: QuantizationRecipe | None = None) -> None:
        self.recipe = recipe
        self.arriving: dict[str, Any] = {}

    def _recipe_at(self, body: bool) -> QuantizationRecipe | None:
        """The recipe if it quantizes sites of the body or, with body=False, of head and tail."""
        if self.recipe is not None and (body or self.recipe.scope == "all"):
            return self.recipe
        return None

    def convolution(
        self,
        x: Any,
        filters: int,
        kernel_size: int,
        name: str,
        *,
        body: bool = True,
        batch_norm: bool = False,
        gain: float = 1.0,
        shift: Sequence[float] | None = None,
        relu: bool = False,
        dtype: str | None = None,
    ) -> Any:
        settings: dict[str, Any] = {"padding": "same", "name": name, "dtype": dtype}
        if recipe := self._recipe_at(body):
            settings["bits"] = recipe.bits if body else recipe.head_tail_bits
            settings["per_channel"] = recipe.per_channel
            settings["kernel_quantizer"] = kernel_quantizer(recipe, body=body)
            x = QuantConv2D(filters, kernel_size, **settings)(x)
        else:
            x = keras.layers.Conv2D(filters, kernel_size, **settings)(x)
        if batch_norm:
            x = keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_bn")(x)
        if gain != 1.0:
            x = keras.layers.Rescaling(gain, name=f"{name}_gain")(x)
        if shift is not None:
            x = ChannelShift(shift, name=f"{name}_shift", dtype=dtype)(x)
        if relu:
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
        return x

    def activation(self, x: Any, name: str, *, body: bool = True, after_relu: bool = False) -> Any:
        self.arriving[name] = x
        if recipe := self._recipe_at(body):
            return activation_quantizer(recipe, name, body=body, signed=not after_relu)(x)
        return x

    def kept(self, x: Any, held: Any) -> Any:
        return held if self._recipe_at(body=False) else x

    def add(self, tensors: Sequence[Any], name: str) -> Any:
        return keras.layers.Add(name=name)(tensors)

    def concatenate(self, tensors: Sequence[Any], name: str) -> Any:
        return keras.layers.Concatenate(name=name)(tensors)

    def depth_to_space(self, x: Any, scale: int, name: str) -> Any:
        return DepthToSpace(scale, name=name)(x)

    def shifted_image(self, x: Any, shift: Sequence[float], name: str) -> Any:
        if not self._recipe_at(body=False):
            return ChannelShift(shift, name=f"{name}_shift")(x)
        # Rounded like the bias of the identity convolution that adds the shift in an integer file.
        shift = [round(value * SHIFT_STEPS) / SHIFT_STEPS for value in shift]
        x = ChannelShift(shift, name=f"{name}_shift")(x)
        return RangeQuantizer(min(shift), 255 + max(shift), name=name)(x)

    def image(self, x: Any) -> Any:
        return x
