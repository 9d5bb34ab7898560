"""Sites as Keras layers: builds the float network and the student of any recipe."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.models.blocks import ChannelShift, Clip, DepthToSpace
from pams_tf.models.centring import CentredConv2D
from pams_tf.models.enlarging import Bilinear
from pams_tf.models.functions import Applied, Averaged, Multiplied
from pams_tf.models.movements import movement as movement_layer
from pams_tf.models.results import (
    Added,
    Coded,
    Concatenated,
    Converted,
    Convolved,
    ConvolvedAt,
    Floating,
    Result,
    ShiftedImage,
    Tensor,
    in_steps,
)
from pams_tf.models.sites import PLAIN, Geometry, Sites
from pams_tf.quantization import (
    ExpandedConv2D,
    GroupedConv2D,
    QuantConv2D,
    QuantPReLU,
    RangeQuantizer,
    activation_quantizer,
    kernel_quantizer,
)
from pams_tf.quantization.held import FixedUnit, Held
from pams_tf.quantization.int8 import needs_clip
from pams_tf.recipe import QuantizationRecipe


class KerasSites(Sites):
    """Adds the quantizers of a recipe at the sites; without a recipe, none.

    In the float network, and where a recipe leaves it float, tensors are Keras tensors of values.
    Behind the first quantizer they are codes (see `models.results`), and every operator computes
    what an integer file computes. A recipe of 16 bits, which no integer file holds, keeps values.

    Args:
      recipe: the recipe, or None for the float network.
      unit: in which a file holds tensors, see `quantization.held`: grey levels for 1 in the
        network.
      centred: whether a convolution of the image itself with a ReLU behind it is trained as one of
        the image less its middle, see `models.centring`.

    Attributes:
      recipe: the recipe, or None for the float network.
      arriving: name of each activation site -> the Keras tensor of values that arrives there,
        before any quantizer; calibration observes these tensors.
      sites: name of each site that holds codes -> its tensor.
      names: names of the convolutions and sites for which a recipe can choose bits.
    """

    def __init__(
        self,
        recipe: QuantizationRecipe | None = None,
        unit: float = 1.0,
        *,
        centred: bool = False,
    ) -> None:
        self.recipe = recipe
        self._centred = centred
        self._image: Any = None
        self._unit = FixedUnit(unit)
        self._layers: dict[str, keras.layers.Layer] = {}
        self.arriving = _Values()
        self.sites: dict[str, Coded] = {}
        self.names: list[str] = []
        self._convolved: list[Convolved] = []
        self._integer = recipe is not None and recipe.fits_int8

    @property
    def convolutions(self) -> list[ConvolvedAt]:
        """The convolutions of codes, once for each site that holds their result."""
        return [site for result in self._convolved for site in result.sites]

    def _recipe_at(self, body: bool) -> QuantizationRecipe | None:
        """The recipe if it quantizes sites of the body or, with body=False, of head and tail."""
        if self.recipe is not None and (body or self.recipe.scope == "all"):
            return self.recipe
        return None

    def input(self, x: Any) -> Any:
        """The network's input, a Keras tensor (N, H, W, C) in [0, 255], as a builder takes it."""
        if not (self._integer and self._recipe_at(body=False)):
            self._image = x
            return x
        return Coded(x, Held(RangeQuantizer(0, 255, name="bytes")))

    def output(self, x: Any) -> Any:
        """The network's result as a Keras tensor of values, unrounded and unclipped."""
        return values(self.image(x))

    def convolution(
        self,
        x: Any,
        filters: int,
        kernel_size: int | Sequence[int],
        name: str,
        *,
        body: bool = True,
        batch_norm: bool = False,
        gain: float = 1.0,
        shift: Sequence[float] | None = None,
        relu: bool = False,
        dtype: str | None = None,
        geometry: Geometry = PLAIN,
        shared: str | None = None,
        expansion: int = 0,
    ) -> Any:
        self.names.append(shared or name)
        settings: dict[str, Any] = {
            "strides": geometry.strides,
            "padding": geometry.padding,
            "dilation_rate": geometry.dilation,
            "groups": geometry.groups,
            "name": name,
            "dtype": dtype,
        }
        norm = None
        behind: list[keras.layers.Layer] = []
        if batch_norm:
            norm = keras.layers.BatchNormalization(
                epsilon=1e-5,
                momentum=0.9,
                # The statistics of the whole batch, of which each replica has a part.
                synchronized=tf.distribute.get_strategy().num_replicas_in_sync > 1,
                name=f"{name}_bn",
            )
            behind.append(norm)
        if gain != 1.0:
            behind.append(keras.layers.Rescaling(gain, name=f"{name}_gain", dtype=dtype))
        if shift is not None:
            behind.append(ChannelShift(shift, name=f"{name}_shift", dtype=dtype))
        if recipe := self._recipe_at(body):
            settings["bits"] = recipe.bits_of(name, body=body)
            # TensorFlow Lite quantizes depthwise kernels per channel, and no other way.
            assert not expansion, "merged before quantization"
            settings["per_channel"] = recipe.per_channel or geometry.groups > 1
            settings["kernel_quantizer"] = kernel_quantizer(recipe, body=body)
            layer = self._layer(QuantConv2D, filters, kernel_size, shared, settings)
            if isinstance(x, Coded):
                result = Convolved(
                    layer, x, gain=gain, shift=shift, relu=relu, norm=norm, floating=behind
                )
                self._convolved.append(result)
                return result
        else:
            # Keras' own class where it will do: weights are saved by the class of their layer.
            kind = keras.layers.Conv2D if geometry.groups == 1 else GroupedConv2D
            if expansion:
                kind, settings = ExpandedConv2D, {**settings, "expansion": expansion}
            elif self._centred and relu and x is self._image and _centrable(kernel_size, geometry):
                kind = CentredConv2D
            layer = self._layer(kind, filters, kernel_size, shared, settings)
        if relu:
            behind.append(keras.layers.ReLU(name=f"{name}_relu", dtype=dtype))
        x = layer(values(x))
        for following in behind:
            x = following(x)
        return x

    def _layer(self, kind: Any, filters: int, size: Any, shared: str | None, settings: Any) -> Any:
        if shared is not None:
            return self._layers[shared]
        return self._layers.setdefault(settings["name"], kind(filters, size, **settings))

    def activation(
        self,
        x: Any,
        name: str,
        *,
        body: bool = True,
        after_relu: bool = False,
        ceiling: float | None = None,
        true_values: bool = False,
    ) -> Any:
        self.names.append(name)
        self.arriving.add(name, x)
        recipe = self._recipe_at(body)
        if recipe is None:
            return values(x)
        quantizer = activation_quantizer(
            recipe, name, body=body, signed=not after_relu, ceiling=ceiling
        )
        if not self._integer:
            return quantizer(values(x))
        return self._at(x, name, quantizer, after_relu, true_values)

    def clipped(self, x: Any, name: str, *, low: float, high: float) -> Any:
        return x if isinstance(x, Tensor) else Clip(low, high, name=name)(x)

    def known_range(
        self, x: Any, name: str, *, minimum: float, maximum: float, body: bool = True
    ) -> Any:
        if not self._recipe_at(body):
            return values(x)
        quantizer = RangeQuantizer(minimum, maximum, name=name)
        if not self._integer:
            return quantizer(values(x))
        return self._at(x, name, quantizer, after_relu=minimum >= 0)

    def function(self, x: Any, name: str, *, kind: str, slope: float = 0.0) -> Any:
        if isinstance(x, Coded):
            layer = QuantPReLU(name=name) if kind == "prelu" else None
            return Applied(kind, x, slope=slope, layer=layer)
        if kind == "prelu":
            return _floating(keras.layers.PReLU, x, shared_axes=[1, 2], name=name)
        if kind == "leaky_relu":
            return _floating(keras.layers.LeakyReLU, x, negative_slope=slope, name=name)
        return _floating(keras.layers.Activation, x, activation=kind, name=name)

    def kept(self, x: Any, held: Any) -> Any:
        return held if self._recipe_at(body=False) else x

    def add(self, tensors: Sequence[Any], name: str, *, relu: bool = False) -> Any:
        if all(isinstance(x, Coded) for x in tensors):
            return Added(*tensors, relu=relu)
        total = _floating(keras.layers.Add, *tensors, name=name)
        return _floating(keras.layers.ReLU, total, name=f"{name}_relu") if relu else total

    def multiply(self, tensors: Sequence[Any], name: str) -> Any:
        if all(isinstance(x, Coded) for x in tensors):
            return Multiplied(*tensors)
        return _floating(keras.layers.Multiply, *tensors, name=name)

    def mean(self, x: Any, name: str) -> Any:
        if isinstance(x, Coded):
            return Averaged(x)
        return keras.layers.GlobalAveragePooling2D(keepdims=True, name=name)(values(x))

    def concatenate(self, tensors: Sequence[Any], name: str) -> Any:
        if all(isinstance(x, Tensor) for x in tensors):
            return Concatenated(tensors)
        return _floating(keras.layers.Concatenate, *tensors, name=name)

    def depth_to_space(self, x: Any, scale: int, name: str) -> Any:
        return self._moved(x, DepthToSpace(scale, name=name))

    def moved(self, x: Any, name: str, *, movement: str, settings: Mapping[str, Any]) -> Any:
        return self._moved(x, movement_layer(movement, settings, name))

    def _moved(self, x: Any, layer: keras.layers.Layer) -> Any:
        return x.moved(layer) if isinstance(x, Coded) else layer(values(x))

    def bilinear(self, x: Any, name: str, *, scale: int) -> Any:
        return self._moved(x, Bilinear(scale, whole=isinstance(x, Coded), name=name))

    def rescaled(self, x: Any, name: str, *, factor: float) -> Any:
        if isinstance(x, Coded):
            return x.rescaled(factor)
        return _floating(keras.layers.Rescaling, x, scale=factor, name=name)

    def shifted_image(self, x: Any, shift: Sequence[float], name: str) -> Any:
        if not self._recipe_at(body=False):
            return ChannelShift(shift, name=f"{name}_shift")(x)
        shift = in_steps(shift)
        quantizer = RangeQuantizer(min(0.0, *shift), 255 + max(shift), name=name)
        if not self._integer:
            return quantizer(ChannelShift(shift, name=f"{name}_shift")(x))
        return self._at(ShiftedImage(x, shift), name, quantizer, after_relu=False)

    def image(self, x: Any, name: str = "image", *, gain: float = 1.0) -> Any:
        if isinstance(x, Tensor):
            return x.as_image(gain)
        return x if gain == 1 else _floating(keras.layers.Rescaling, x, scale=gain, name=name)

    def _at(
        self, x: Any, name: str, quantizer: Any, after_relu: bool, true_values: bool = False
    ) -> Coded:
        """The codes of a site, of float values or of what an operator makes of codes."""
        if isinstance(x, Coded):
            x = Converted(x)
        if not isinstance(x, Result):
            x = Floating(x)
        unit = None if true_values else self._unit
        held = x.held_by(quantizer, needs_clip(quantizer.grid, after_relu), unit)
        tensors, arriving = x.at(held)
        self.sites[name] = Coded(quantizer(tensors, arriving=arriving), held, arriving)
        return self.sites[name]


def values(x: Any) -> Any:
    """The Keras tensor of float values of any tensor that a builder passes on."""
    return x.values if isinstance(x, Tensor) else x


def _floating(kind: Any, *tensors: Any, **settings: Any) -> Any:
    """A layer of Keras on float values: in float32 if one of them is, else in the policy's type.

    So the image, and what is added to it behind the last convolution, keep their precision.
    """
    inputs = [values(x) for x in tensors]
    if any(x.dtype == "float32" for x in inputs):
        settings["dtype"] = "float32"
    return kind(**settings)(inputs if len(inputs) > 1 else inputs[0])


class _Values(Mapping[str, Any]):
    """Tensors by name, as Keras tensors of values, which are made when they are asked for."""

    def __init__(self) -> None:
        self._tensors: dict[str, Any] = {}

    def add(self, name: str, x: Any) -> None:
        self._tensors[name] = x

    def __getitem__(self, name: str) -> Any:
        return values(self._tensors[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _centrable(kernel_size: int | Sequence[int], geometry: Geometry) -> bool:
    return geometry == PLAIN and bool(np.all(np.mod(kernel_size, 2)))
