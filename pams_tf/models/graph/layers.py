"""What each kind of Keras layer and function means: a table from its class to nodes."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers as kl

from pams_tf.errors import InputError
from pams_tf.models.graph.nodes import Node

Handler = Callable[..., Any]


class Builder:
    """Makes the nodes of one call of a layer.

    Attributes:
      operation: the Keras layer or operation.
    """

    def __init__(self, name: Callable[[str], str], operation: Any, first: dict[int, str]) -> None:
        self.operation = operation
        self._name = name
        self._first = first

    def node(self, op: str, inputs: Sequence[Node], suffix: str = "", **settings: Any) -> Node:
        return Node(op, self._name(suffix), list(inputs), settings)

    def weighted(
        self, op: str, x: Node, weights: dict[str, np.ndarray], suffix: str = "", **settings: Any
    ) -> Node:
        """A node with trainable weights; those of a layer that is called again are shared."""
        node = self.node(op, [x], suffix, **settings)
        node.weights = weights
        key = hash((id(self.operation), suffix))
        node.shared = self._first.get(key)
        self._first.setdefault(key, node.name)
        return node

    def behind(self, x: Node, activation: Any) -> Node:
        """A layer's `activation` argument, as nodes."""
        if activation in (None, keras.activations.linear):
            return x
        name = getattr(activation, "__name__", type(activation).__name__)
        if isinstance(activation, kl.Layer):
            found = handler(activation)
            if found is not None:
                return found(Builder(self._name, activation, self._first), x)
        if name in _ACTIVATIONS:
            return _ACTIVATIONS[name](self, x)
        raise InputError(
            f"activation={name!r} has no integer form; use relu, relu6, leaky_relu, tanh, sigmoid "
            "or a PReLU layer"
        )


def handler(operation: Any) -> Handler | None:
    """The handler of a Keras layer or operation; None if its class says nothing."""
    if isinstance(operation, kl.Layer):
        for kind, found in _LAYERS.items():
            if type(operation) is kind:
                return found
        return None
    if type(operation).__module__.startswith("keras.src.ops"):
        return _OPERATIONS.get(type(operation).__name__)
    return None


def _array(variable: Any) -> np.ndarray:
    return np.asarray(variable.value, np.float32)


def _geometry(layer: Any, **more: Any) -> dict[str, Any]:
    for what in ("strides", "dilation_rate"):
        values = set(getattr(layer, what))
        if len(values) != 1:
            raise InputError(f"{what}={getattr(layer, what)}; give the same on both axes")
    if layer.data_format != "channels_last":
        raise InputError("data_format='channels_first'; build it with 'channels_last'")
    return {
        "strides": layer.strides[0],
        "padding": layer.padding,
        "dilation": layer.dilation_rate[0],
        **more,
    }


def _bias(layer: Any, count: int) -> np.ndarray:
    return _array(layer.bias) if layer.use_bias else np.zeros(count, np.float32)


def _convolved(
    b: Builder, x: Node, kernel: np.ndarray, bias: np.ndarray, geometry: Any, suffix: str = ""
) -> Node:
    """A convolution with a kernel (h, w, channels / groups, filters)."""
    weights = {"kernel": kernel, "bias": bias}
    size = list(kernel.shape[:2])
    return b.weighted("convolution", x, weights, suffix, kernel_size=size, geometry=geometry)


def _convolution(b: Builder, x: Node, **_: Any) -> Node:
    layer = b.operation
    geometry = _geometry(layer, groups=layer.groups)
    node = _convolved(b, x, _array(layer.kernel), _bias(layer, layer.filters), geometry)
    return b.behind(node, layer.activation)


def _depthwise_kernel(kernel: np.ndarray) -> np.ndarray:
    """(h, w, C, m) as Keras has it -> (h, w, 1, C*m), a convolution in C groups."""
    height, width, channels, multiplier = kernel.shape
    return kernel.reshape(height, width, 1, channels * multiplier)


def _depthwise(b: Builder, x: Node, **_: Any) -> Node:
    layer = b.operation
    kernel = _depthwise_kernel(_array(layer.kernel))
    filters = kernel.shape[-1]
    geometry = _geometry(layer, groups=filters // layer.depth_multiplier)
    node = _convolved(b, x, kernel, _bias(layer, filters), geometry)
    return b.behind(node, layer.activation)


def _separable(b: Builder, x: Node, **_: Any) -> Node:
    layer = b.operation
    kernel = _depthwise_kernel(_array(layer.depthwise_kernel))
    filters = kernel.shape[-1]
    geometry = _geometry(layer, groups=filters // layer.depth_multiplier)
    node = _convolved(b, x, kernel, np.zeros(filters, np.float32), geometry, "depthwise")
    kernel = _array(layer.pointwise_kernel)
    node = _convolved(b, node, kernel, _bias(layer, layer.filters), {})
    return b.behind(node, layer.activation)


def _transposed(b: Builder, x: Node, **_: Any) -> Node:
    layer = b.operation
    geometry = _geometry(layer)
    stride = geometry["strides"]
    if geometry["dilation"] != 1 or layer.output_padding is not None:
        raise InputError("has a dilation or an output_padding; leave them out")
    kernel = _array(layer.kernel)  # (h, w, O, I)
    if min(kernel.shape[:2]) < stride:
        raise InputError(
            f"its kernel {kernel.shape[0]}x{kernel.shape[1]} is smaller than its stride {stride}"
        )
    bias = _bias(layer, layer.filters)
    same = layer.padding == "same"
    before = [(size - stride) // 2 for size in kernel.shape[:2]] if same else None
    node = b.weighted(
        "transposed", x, {"kernel": kernel, "bias": bias}, stride=stride, before=before
    )
    return b.behind(node, layer.activation)


def _activation(b: Builder, x: Node, **_: Any) -> Node:
    return b.behind(x, b.operation.activation)


def _relu_layer(b: Builder, x: Node, **_: Any) -> Node:
    layer = b.operation
    if layer.threshold:
        raise InputError(f"threshold={layer.threshold}; only 0 has an integer form")
    if layer.negative_slope:
        if layer.max_value is not None:
            raise InputError("has a negative_slope and a max_value; give one of them")
        return b.node("function", [x], kind="leaky_relu", slope=float(layer.negative_slope))
    high = None if layer.max_value is None else float(layer.max_value)
    return b.node("clip", [x], low=0.0, high=high)


def _leaky_layer(b: Builder, x: Node, **_: Any) -> Node:
    return b.node("function", [x], kind="leaky_relu", slope=float(b.operation.negative_slope))


def _prelu_layer(b: Builder, x: Node, **_: Any) -> Node:
    slopes = _array(b.operation.alpha)
    if slopes.ndim != 3 or slopes.shape[:2] != (1, 1):
        raise InputError("has a slope for each pixel; give shared_axes=[1, 2]")
    return b.weighted("function", x, {"slopes": slopes.reshape(-1)}, kind="prelu")


def _batch_normalization(b: Builder, x: Node, **_: Any) -> Node:
    layer = b.operation
    mean, variance = _array(layer.moving_mean), _array(layer.moving_variance)
    scale = 1 / np.sqrt(variance.astype(np.float64) + layer.epsilon)
    if layer.scale:
        scale = scale * _array(layer.gamma)
    offset = -mean * scale + (_array(layer.beta) if layer.center else 0.0)
    return b.node("affine", [x], scale=scale, offset=offset)


def _rescaling(b: Builder, x: Node, **_: Any) -> Node:
    scale, offset = (np.asarray(v, np.float64) for v in (b.operation.scale, b.operation.offset))
    return b.node("affine", [x], scale=scale, offset=offset)


def _normalization(b: Builder, x: Node, **_: Any) -> Node:
    layer = b.operation
    mean, variance = (np.asarray(v, np.float64).reshape(-1) for v in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    if layer.invert:
        return b.node("affine", [x], scale=deviation, offset=mean)
    return b.node("affine", [x], scale=1 / deviation, offset=-mean / deviation)


def _of_all(op: str) -> Handler:
    """A layer that takes any number of tensors, as operators that take two."""

    def read(b: Builder, inputs: Any, **_: Any) -> Node:
        result, *others = inputs
        for index, other in enumerate(others, 1):
            suffix = "" if index == len(others) else f"part_{index - 1}"
            result = b.node(op, [result, other], suffix)
        return result

    return read


def _subtract_layer(b: Builder, inputs: Any, **_: Any) -> Node:
    return _difference(b, *inputs)


def _concatenate_layer(b: Builder, inputs: Any, **_: Any) -> Node:
    return _joined(b, inputs, b.operation.axis)


def _joined(b: Builder, inputs: Any, axis: Any) -> Node:
    if axis not in (-1, 3):
        raise InputError(f"axis={axis}; tensors are joined along the channels, axis=-1, only")
    inputs = list(inputs)
    if len(inputs) == 1:
        return inputs[0]
    if all(x is inputs[0] for x in inputs):
        return _moved(b, inputs[0], "repeat", times=len(inputs))
    return b.node("concatenate", inputs)


def _moved(b: Builder, x: Node, movement: str, suffix: str = "", **settings: Any) -> Node:
    return b.node("move", [x], suffix, movement=movement, settings=settings)


def _padding_layer(b: Builder, x: Node, **_: Any) -> Node:
    return _moved(b, x, "pad", borders=[list(axis) for axis in b.operation.padding])


def _cropping_layer(b: Builder, x: Node, **_: Any) -> Node:
    return _moved(b, x, "crop", borders=[list(axis) for axis in b.operation.cropping])


def _upsampling_layer(b: Builder, x: Node, **_: Any) -> Node:
    layer = b.operation
    if layer.size[0] != layer.size[1]:
        raise InputError(f"size={layer.size}; give the same factor on both axes")
    if layer.interpolation == "nearest":
        return nearest(b, x, layer.size[0])
    raise InputError(
        f"interpolation={layer.interpolation!r} has no integer form here; use 'nearest', or a "
        "Conv2DTranspose, which can hold the same weights"
    )


def nearest(b: Builder, x: Node, scale: int) -> Node:
    """Nearest-neighbour enlargement: s*s copies of the channels, then depth-to-space."""
    copies = _moved(b, x, "repeat", "copies", times=scale**2)
    return _moved(b, copies, "depth_to_space", scale=scale)


def _identity(b: Builder, x: Node, **_: Any) -> Node:
    return x


def _difference(b: Builder, first: Any, second: Any, **_: Any) -> Node:
    if not isinstance(second, Node):
        return _shifted(b, first, -_constant(second))
    negative = b.node("affine", [second], "negative", scale=np.float64(-1), offset=np.float64(0))
    if not isinstance(first, Node):
        return _shifted(b, negative, _constant(first))
    return b.node("add", [first, negative])


def _plus(b: Builder, first: Any, second: Any, **_: Any) -> Node:
    if isinstance(first, Node) and isinstance(second, Node):
        return b.node("add", [first, second])
    x, other = (first, second) if isinstance(first, Node) else (second, first)
    return _shifted(b, x, _constant(other))


def _times(b: Builder, first: Any, second: Any, **_: Any) -> Node:
    if isinstance(first, Node) and isinstance(second, Node):
        return b.node("multiply", [first, second])
    x, other = (first, second) if isinstance(first, Node) else (second, first)
    return b.node("affine", [x], scale=_constant(other), offset=np.float64(0))


def _divided(b: Builder, first: Any, second: Any, **_: Any) -> Node:
    if not isinstance(first, Node) or isinstance(second, Node):
        raise InputError("divides by a tensor, which int8 kernels cannot; divide by a constant")
    return b.node("affine", [first], scale=1 / _constant(second), offset=np.float64(0))


def _negative(b: Builder, x: Node, **_: Any) -> Node:
    return b.node("affine", [x], scale=np.float64(-1), offset=np.float64(0))


def _shifted(b: Builder, x: Node, offset: np.ndarray) -> Node:
    return b.node("affine", [x], scale=np.float64(1), offset=offset)


def _constant(value: Any) -> np.ndarray:
    array = np.asarray(keras.ops.convert_to_numpy(value), np.float64)
    if array.ndim and array.size != array.shape[-1]:
        raise InputError(f"a constant of shape {array.shape}; give one number or one per channel")
    return array.reshape(-1) if array.size > 1 else array.reshape(())


def _clip_operation(b: Builder, x: Node, *_: Any, **__: Any) -> Node:
    low, high = b.operation.x_min, b.operation.x_max
    return b.node("clip", [x], low=float(low), high=float(high))


def _bounded(largest: bool) -> Handler:
    def bound(b: Builder, first: Any, second: Any, **_: Any) -> Node:
        x, other = (first, second) if isinstance(first, Node) else (second, first)
        if isinstance(other, Node):
            raise InputError("the larger or smaller of two tensors has no integer form here")
        end = float(_constant(other))
        low, high = (None, end) if largest else (end, None)
        return b.node("clip", [x], low=low, high=high)

    return bound


def _concatenate_operation(b: Builder, inputs: Any, *_: Any, **__: Any) -> Node:
    return _joined(b, inputs, b.operation.axis)


def _slopes_operation(b: Builder, x: Node, *_: Any, **__: Any) -> Node:
    return b.node("function", [x], kind="leaky_relu", slope=float(b.operation.negative_slope))


def _of_name(name: str) -> Handler:
    return lambda b, x, *_, **__: _ACTIVATIONS[name](b, x)


def _function(kind: str) -> Callable[[Builder, Node], Node]:
    return lambda b, x: b.node("function", [x], kind, kind=kind)


def _clipped(low: float, high: float | None) -> Callable[[Builder, Node], Node]:
    return lambda b, x: b.node("clip", [x], "relu", low=low, high=high)


def _leaky_activation(b: Builder, x: Node) -> Node:
    return b.node("function", [x], "leaky_relu", kind="leaky_relu", slope=0.2)


def _swish(b: Builder, x: Node) -> Node:
    gate = b.node("function", [x], "gate", kind="sigmoid")
    return b.node("multiply", [x, gate], "swish")


def _hard_sigmoid(b: Builder, x: Node) -> Node:
    line = b.node("affine", [x], "line", scale=np.float64(1 / 6), offset=np.float64(0.5))
    return b.node("clip", [line], "hard_sigmoid", low=0.0, high=1.0)


def _hard_swish(b: Builder, x: Node) -> Node:
    return b.node("multiply", [x, _hard_sigmoid(b, x)], "hard_swish")


def _hard_tanh(b: Builder, x: Node) -> Node:
    return b.node("clip", [x], "hard_tanh", low=-1.0, high=1.0)


_ACTIVATIONS: dict[str, Callable[[Builder, Node], Node]] = {
    "relu": _clipped(0.0, None),
    "relu6": _clipped(0.0, 6.0),
    "leaky_relu": _leaky_activation,
    "tanh": _function("tanh"),
    "sigmoid": _function("sigmoid"),
    "silu": _swish,
    "swish": _swish,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_swish,
    "hard_swish": _hard_swish,
    "hard_tanh": _hard_tanh,
}

_LAYERS: dict[type, Handler] = {
    kl.Conv2D: _convolution,
    kl.DepthwiseConv2D: _depthwise,
    kl.SeparableConv2D: _separable,
    kl.Conv2DTranspose: _transposed,
    kl.Activation: _activation,
    kl.ReLU: _relu_layer,
    kl.LeakyReLU: _leaky_layer,
    kl.PReLU: _prelu_layer,
    kl.BatchNormalization: _batch_normalization,
    kl.Rescaling: _rescaling,
    kl.Normalization: _normalization,
    kl.Add: _of_all("add"),
    kl.Subtract: _subtract_layer,
    kl.Multiply: _of_all("multiply"),
    kl.Concatenate: _concatenate_layer,
    kl.ZeroPadding2D: _padding_layer,
    kl.Cropping2D: _cropping_layer,
    kl.UpSampling2D: _upsampling_layer,
    kl.Dropout: _identity,
    kl.SpatialDropout2D: _identity,
    kl.GaussianNoise: _identity,
    kl.Identity: _identity,
    kl.InputLayer: _identity,
}

_OPERATIONS: dict[str, Handler] = {
    "Add": _plus,
    "Subtract": _difference,
    "Multiply": _times,
    "Divide": _divided,
    "TrueDivide": _divided,
    "Negative": _negative,
    "Clip": _clip_operation,
    "Maximum": _bounded(largest=False),
    "Minimum": _bounded(largest=True),
    "Concatenate": _concatenate_operation,
    "Relu": _of_name("relu"),
    "Relu6": _of_name("relu6"),
    "LeakyRelu": _slopes_operation,
    "Tanh": _of_name("tanh"),
    "Sigmoid": _of_name("sigmoid"),
    "Silu": _of_name("silu"),
    "HardSigmoid": _of_name("hard_sigmoid"),
    "HardSilu": _of_name("hard_silu"),
    "HardTanh": _of_name("hard_tanh"),
}
