"""The sites of a network: named tensors and convolutions where a quantizer can stand.

A builder names every site; a `Sites` object decides what stands there. So the float network, the
student of each recipe and the integer graph are one architecture, written once.
"""

from collections.abc import Sequence
from typing import Any

import keras

from pams_tf.models.blocks import ChannelShift, DepthToSpace
from pams_tf.quantization import (
    QuantConv2D,
    RangeQuantizer,
    activation_quantizer,
    weight_quantizer,
)
from pams_tf.recipe import QuantizationRecipe


class Sites:
    """Puts at each site what the recipe says; without a recipe, nothing.

    Attributes:
      recipe: the recipe, or None for the float network.
      arriving: name of each activation site -> the tensor that arrives there, before any
        quantizer. What calibration observes.
    """

    def __init__(self, recipe: QuantizationRecipe | None = None) -> None:
        self.recipe = recipe
        self.arriving: dict[str, Any] = {}

    @property
    def whole(self) -> bool:
        """True if every tensor is quantized, head and tail too."""
        return self.recipe is not None and self.recipe.scope == "all"

    def quantizes(self, edge: bool) -> bool:
        """Whether a site of the body or, with `edge`, of head or tail gets a quantizer."""
        return self.recipe is not None and (self.whole or not edge)

    def activation(self, x: Any, name: str, *, edge: bool = False, after_relu: bool = False) -> Any:
        """A tensor that an integer network must hold: quantized here if the scope says so.

        `after_relu` says that nothing in it is negative, which some quantizers make use of.
        """
        self.arriving[name] = x
        if not self.quantizes(edge):
            return x
        assert self.recipe is not None
        return activation_quantizer(self.recipe, name, edge=edge, signed=not after_relu)(x)

    def convolution(
        self,
        x: Any,
        filters: int,
        kernel_size: int,
        name: str,
        *,
        edge: bool = False,
        batch_norm: bool = False,
        gain: float = 1.0,
        shift: Sequence[float] | None = None,
        relu: bool = False,
        dtype: str | None = None,
    ) -> Any:
        """conv -> [batch normalization] -> [* gain] -> [+ shift] -> [ReLU], zero padding "same".

        One site, because an integer graph folds all of it into one convolution. `dtype` is a Keras
        dtype policy of its own for this convolution.
        """
        settings: dict[str, Any] = {"padding": "same", "name": name, "dtype": dtype}
        if self.quantizes(edge):
            assert self.recipe is not None
            settings["bits"] = self.recipe.edge_bits if edge else self.recipe.bits
            settings["per_channel"] = self.recipe.per_channel
            settings["weights"] = weight_quantizer(self.recipe, edge=edge)
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

    def add(self, tensors: Sequence[Any], name: str) -> Any:
        """The sum of two tensors of one shape."""
        return keras.layers.Add(name=name)(tensors)

    def concatenate(self, tensors: Sequence[Any], name: str) -> Any:
        """Tensors side by side along the channels."""
        return keras.layers.Concatenate(name=name)(tensors)

    def image(self, x: Any) -> Any:
        """An image in [0, 255], which an integer network holds as bytes; float until then."""
        return x

    def depth_to_space(self, x: Any, scale: int, name: str) -> Any:
        """(N, H, W, s*s*C) -> (N, s*H, s*W, C), moving values and changing none."""
        return DepthToSpace(scale, name=name)(x)

    def shifted_image(self, x: Any, shift: Sequence[float], name: str) -> Any:
        """An image in [0, 255] with a constant added to each channel.

        Its range is known, so its quantizer has nothing to learn: `RangeQuantizer`. An integer
        graph adds the constant as the bias of an identity convolution, in steps of 1/127 (weight
        code 127, image scale 1), so a quantized one is rounded to them here.
        """
        if not self.quantizes(edge=True):
            return ChannelShift(shift, name=f"{name}_shift")(x)
        shift = [round(value * 127) / 127 for value in shift]
        x = ChannelShift(shift, name=f"{name}_shift")(x)
        return RangeQuantizer(min(shift), 255 + max(shift), name=name)(x)
