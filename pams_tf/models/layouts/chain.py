"""A chain of convolutions before one enlargement, as a plain Keras model.

That is all that the networks on phones are: ABPN, ECBSR, ETDS, ESPCN, FSRCNN, SRVGGNetCompact.

Kernels are OIHW in PyTorch (IOHW if transposed) and HWIO here (HWOI). PixelShuffle reads channel
c*s*s + i*s + j where depth-to-space reads (i*s + j)*C + c, so the outputs of the convolution before
it are permuted. Most networks compute in [0, 1]; a Rescaling at either end makes that [0, 255].
"""

import dataclasses
import math
from typing import Any

import keras
import numpy as np

from pams_tf.data.datasets import SCALES
from pams_tf.errors import InputError
from pams_tf.models.blocks import DepthToSpace
from pams_tf.models.layouts.layout import Fit, Mismatch, Options, Tensors, shape

LEAKY_SLOPE = 0.1
"""Of SRVGGNetCompact's LeakyReLU."""


@dataclasses.dataclass(frozen=True)
class Convolution:
    """NAME.weight, NAME.bias (which may be absent), and the activation behind them.

    Attributes:
      name: the module's name.
      activation: "linear", "relu", "leaky_relu" or "tanh"; of no account with `slopes`.
      slopes: the name of a PReLU's module; its weight has a slope per channel, or one for all.
    """

    name: str
    activation: str = "linear"
    slopes: str | None = None


@dataclasses.dataclass(frozen=True)
class Chain:
    """Convolutions of stride 1 with zero padding, and what enlarges their result.

    Attributes:
      layout: name of the layout that the weights were read by.
      title: the network's name in the literature.
      convolutions: in their order, the enlarging one included.
      base: what is added: "" for nothing, "repeated" for the input, once per position, before
        depth-to-space, or "nearest" for the enlarged input behind it.
      sigmoid: whether the network ends with one.
      stride: of the last convolution, if it is transposed and enlarges; None for depth-to-space.
      spare_channel: whether the last convolution may have one channel more than the image needs,
        to make their number a multiple of 4; nothing reads it.
    """

    layout: str
    title: str
    convolutions: tuple[Convolution, ...]
    base: str = ""
    sigmoid: bool = False
    stride: int | None = None
    spare_channel: bool = False

    def fit(self, tensors: Tensors) -> Fit:
        """This chain as a network of the given weights.

        Raises:
          Mismatch: a tensor is missing, is of no use or has another shape.
        """
        scale, colours = self._sizes(tensors)

        def build(options: Options) -> keras.Model:
            if options.recipe is not None or options.overrides:
                given = ["bits"] * (options.recipe is not None) + list(options.overrides)
                raise InputError(
                    f"{self.title} has no setting {', '.join(given)}; EDSR and RDN have"
                )
            return _build(self, tensors, scale, colours, float(options.image_range or 1))

        return Fit(self.layout, self._described(tensors, scale, colours), scale, build)

    def _sizes(self, tensors: Tensors) -> tuple[int, int]:
        """Scale and number of image channels; checks every shape."""
        channels = colours = 0
        used = set()
        for i, convolution in enumerate(self.convolutions):
            transposed = self.stride is not None and i == len(self.convolutions) - 1
            name = f"{convolution.name}.weight"
            size = shape(tensors, name)
            if len(size) != 4 or size[2] != size[3] or size[2] % 2 == 0 or 0 in size:
                raise Mismatch(f"{name} {list(size)} is no kernel with odd, equal sides")
            outputs, inputs = (size[1], size[0]) if transposed else size[:2]
            if i == 0:
                channels = colours = inputs
            if inputs != channels:
                raise Mismatch(f"{name} {list(size)} reads {inputs} channels, not {channels}")
            channels = outputs
            used.add(name)
            vectors = {f"{convolution.name}.bias": (channels,)}
            if f"{convolution.name}.bias" not in tensors:
                vectors = {}
            if convolution.slopes is not None:
                slopes = f"{convolution.slopes}.weight"
                vectors[slopes] = (1,) if shape(tensors, slopes) == (1,) else (channels,)
            for vector, expected in vectors.items():
                if (found := shape(tensors, vector)) != expected:
                    raise Mismatch(f"{vector} {list(found)} should be {list(expected)}")
            used.update(vectors)
        if unused := [name for name in tensors if name not in used]:
            raise Mismatch(f"nothing reads {unused[0]} {list(tensors[unused[0]].shape)}")
        if colours not in (1, 3):
            raise Mismatch(f"it takes {colours} channels, not 3 (RGB) or 1 (Y)")
        if self.stride is not None:
            if size[2] - size[2] // 2 < self.stride:
                raise Mismatch(f"{name} {list(size)} is too small to enlarge by {self.stride}")
            if channels != colours:
                raise Mismatch(f"it takes {colours} channels and yields {channels}")
            return self.stride, colours
        for outputs in (channels, channels - 1)[: 1 + self.spare_channel]:
            scale = math.isqrt(outputs // colours)
            if scale in SCALES and scale**2 * colours == outputs:
                return scale, colours
        raise Mismatch(
            f"its last convolution yields {channels} channels, which is {colours} * scale * scale "
            f"for no scale of {', '.join(map(str, SCALES))}"
        )

    def _described(self, tensors: Tensors, scale: int, colours: int) -> str:
        features = shape(tensors, f"{self.convolutions[0].name}.weight")[0]
        kinds = {"prelu" if c.slopes else c.activation for c in self.convolutions} - {"linear"}
        words = {"prelu": "PReLU", "relu": "ReLU", "leaky_relu": "LeakyReLU", "tanh": "tanh"}
        parts = [
            f"{self.title} x{scale}",
            f"{'RGB' if colours == 3 else 'Y'}",
            f"{features} features",
            f"{len(self.convolutions)} convolution{'s' * (len(self.convolutions) > 1)}",
            " and ".join(words[kind] for kind in sorted(kinds)) or "no activation",
        ]
        if self.sigmoid:
            parts.append("sigmoid at the end")
        if self.base:
            parts.append("the enlarged input added")
        return ", ".join(parts)


def _build(
    chain: Chain, tensors: Tensors, scale: int, colours: int, image_range: float
) -> keras.Model:
    """(N, H, W, colours) in [0, 255] -> (N, scale*H, scale*W, colours)."""
    layers = keras.layers
    image = keras.Input((None, None, colours), name="image")
    own = x = image
    if image_range != 255:
        own = x = layers.Rescaling(image_range / 255, name="to_unit")(image)
    outputs = colours * scale**2
    *before, last = chain.convolutions
    for i, convolution in enumerate(before):
        x = _activated(_convolved(x, convolution, tensors, f"conv_{i}"), convolution, tensors, i)
    if chain.stride is None:
        x = _convolved(x, last, tensors, f"conv_{len(before)}", _shuffle_order(outputs, scale))
        x = _activated(x, last, tensors, len(before))
        if chain.base == "repeated":
            anchor = layers.Concatenate(name="anchor")([own] * scale**2)
            x = layers.Add(name="residual")([x, anchor])
        x = DepthToSpace(scale, name="depth_to_space")(x)
        if chain.base == "nearest":
            base = layers.UpSampling2D(scale, interpolation="nearest", name="base")(own)
            x = layers.Add(name="residual")([x, base])
    else:
        x = _deconvolved(x, last, tensors, scale)
    if chain.sigmoid:
        x = layers.Activation("sigmoid", name="sigmoid")(x)
    if image_range != 255:
        x = layers.Rescaling(255 / image_range, name="to_bytes")(x)
    return keras.Model(image, x, name=f"{chain.layout}_x{scale}")


def _convolved(
    x: Any, convolution: Convolution, tensors: Tensors, name: str, order: Any = slice(None)
) -> Any:
    """A convolution of x whose output channels are the given ones of PyTorch's, in that order."""
    kernel = tensors[f"{convolution.name}.weight"][order].transpose(2, 3, 1, 0)
    bias = tensors.get(f"{convolution.name}.bias")
    layer = keras.layers.Conv2D(
        kernel.shape[3], kernel.shape[0], padding="same", use_bias=bias is not None, name=name
    )
    result = layer(x)
    layer.set_weights([kernel] if bias is None else [kernel, bias[order]])
    return result


def _activated(x: Any, convolution: Convolution, tensors: Tensors, i: int) -> Any:
    if convolution.slopes is not None:
        slopes = tensors[f"{convolution.slopes}.weight"]
        layer = keras.layers.PReLU(shared_axes=[1, 2], name=f"prelu_{i}")
        result = layer(x)
        layer.set_weights([np.broadcast_to(slopes, (1, 1, x.shape[-1]))])
        return result
    if convolution.activation == "relu":
        return keras.layers.ReLU(name=f"relu_{i}")(x)
    if convolution.activation == "leaky_relu":
        return keras.layers.LeakyReLU(LEAKY_SLOPE, name=f"leaky_relu_{i}")(x)
    if convolution.activation == "tanh":
        return keras.layers.Activation("tanh", name=f"tanh_{i}")(x)
    return x


def _deconvolved(x: Any, convolution: Convolution, tensors: Tensors, stride: int) -> Any:
    """ConvTranspose2d(k, stride, padding=k//2, output_padding=stride-1): stride*H by stride*W."""
    kernel = tensors[f"{convolution.name}.weight"].transpose(2, 3, 1, 0)
    bias = tensors.get(f"{convolution.name}.bias")
    size = kernel.shape[0]
    layer = keras.layers.Conv2DTranspose(
        kernel.shape[2], size, stride, padding="valid", use_bias=bias is not None, name="deconv"
    )
    x = layer(x)
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    # Uncropped it has (H - 1) * stride + size rows.
    crop = (size // 2, size - size // 2 - stride)
    return keras.layers.Cropping2D((crop, crop), name="crop")(x)


def _shuffle_order(channels: int, scale: int) -> np.ndarray:
    """PyTorch's channel for each of ours: c*s*s + i*s + j at position (i*s + j)*C + c."""
    return np.arange(channels).reshape(-1, scale**2).T.reshape(-1)
