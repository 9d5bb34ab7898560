"""The simulation layer by layer: a network split at its sites, each layer from codes to codes."""

import dataclasses
from typing import Any

import keras
import numpy as np

from pams_tf.export.folding import batch_normalization, normalizations
from pams_tf.export.grids import zero_point
from pams_tf.models import SuperResolution
from pams_tf.models.keras_sites import KerasSites
from pams_tf.models.registry import architecture
from pams_tf.quantization import ActivationQuantizer, QuantConv2D, RangeQuantizer

IMAGE = "lr"  # the name of the network's input among the sites
OUTPUT = "output"


@dataclasses.dataclass(frozen=True)
class Grid:
    """The grid of a tensor: value = scale * (code - zero_point), with codes from -128 to 127."""

    scale: np.float32
    zero_point: int = 0

    def codes(self, values: Any) -> np.ndarray:
        """The nearest codes of float32 values, int8 of the same shape."""
        codes = np.rint(np.asarray(values) / self.scale) + self.zero_point
        return np.clip(codes, -128, 127).astype(np.int8)

    def values(self, codes: np.ndarray) -> np.ndarray:
        """float32 values of int8 codes, equal to those of the simulation's quantizers."""
        return (codes.astype(np.float32) - np.float32(self.zero_point)) * self.scale


# The image byte p is the code p - 128, whatever the io_dtype of the file is.
BYTES = Grid(np.float32(1), -128)


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A convolution as an integer file must store it.

    Attributes:
      name: name of the convolution.
      kernel: (H, W, I, O) int32, codes on the grid of its bit width.
      bias: (O,) float64 in units of the accumulator: weight scale times input scale. Infinite
        where a kernel is all zeros and so has no scale.
      gain, shift: also folded into kernel and bias: y = gain * conv(x) + shift.
    """

    name: str
    kernel: np.ndarray
    bias: np.ndarray
    gain: float
    shift: np.ndarray


@dataclasses.dataclass(frozen=True)
class Layer:
    """The part of the network that computes one site from those before it.

    Attributes:
      site: the site at its end; `OUTPUT` for the network's result.
      sources: the sites that it reads; `IMAGE` for the network's input.
      grids: the grids of the sources.
      grid: the grid at its end.
      channels: number of channels of the tensor at its end.
      convolutions: the convolutions in it, none or one.
      function: the layer as a Keras model, from values of the sources to values at its end.
    """

    site: str
    sources: tuple[str, ...]
    grids: tuple[Grid, ...]
    grid: Grid
    channels: int
    convolutions: tuple[Convolution, ...]
    function: keras.Model = dataclasses.field(repr=False)

    def __call__(self, codes: dict[str, np.ndarray]) -> np.ndarray:
        """Simulate this layer alone: int8 codes (1, H, W, C) of its sources -> those at its end."""
        values = [g.values(codes[s]) for s, g in zip(self.sources, self.grids, strict=True)]
        return self.grid.codes(self.function(values, training=False))


def layers(whole: SuperResolution, *, integer_bias: bool = False) -> list[Layer]:
    """Split a network with a quantizer at every site (see `fully_quantized`) into its layers.

    The network's own builder is run again: each site ends one layer and starts the next as an
    input, so a layer corresponds to one or a few operators of an integer file.

    Args:
      whole: the network; it is not changed.
      integer_bias: round each bias to whole units of its accumulator, as int32 stores it, instead
        of leaving it as trained.

    Returns:
      The layers in order of execution; the last one is `OUTPUT`.
    """
    cut = _Cut(whole, integer_bias)
    image = cut.begin(IMAGE, BYTES, 3)
    output, _ = architecture(*whole.identity).connect(image, whole.scale, cut)
    cut.end(output, OUTPUT, BYTES)
    return cut.layers


class _Cut(KerasSites):
    def __init__(self, whole: SuperResolution, integer_bias: bool) -> None:
        super().__init__(whole.recipe)
        self.layers: list[Layer] = []
        self._integer_bias = integer_bias
        self._network = whole
        self._grids: dict[str, Grid] = {}

    def begin(self, name: str, grid: Grid, channels: int) -> Any:
        self._grids[name] = grid
        return keras.Input((None, None, channels), name=name)

    def end(self, x: Any, name: str, grid: Grid) -> None:
        inputs = keras.utils.get_source_inputs(x)
        sources = tuple(tensor.name for tensor in inputs)
        function = keras.Model(inputs, x)
        for layer in function.layers:
            if layer.weights:
                layer.set_weights(self._network.get_layer(layer.name).get_weights())
        self.layers.append(
            Layer(
                site=name,
                sources=sources,
                grids=tuple(self._grids[source] for source in sources),
                grid=grid,
                channels=x.shape[-1],
                convolutions=tuple(
                    self._convolution(layer, function)
                    for layer in function.layers
                    if isinstance(layer, QuantConv2D)
                ),
                function=function,
            )
        )

    def activation(self, x: Any, name: str, *, body: bool = True, after_relu: bool = False) -> Any:
        return self._site(super().activation(x, name, body=body, after_relu=after_relu), name)

    def shifted_image(self, x: Any, shift: Any, name: str) -> Any:
        return self._site(super().shifted_image(x, shift, name), name)

    def _site(self, x: Any, name: str) -> Any:
        grid = _grid(self._network.get_layer(name))
        self.end(x, name, grid)
        return self.begin(name, grid, x.shape[-1])

    def _convolution(self, layer: QuantConv2D, function: keras.Model) -> Convolution:
        """Read one convolution with everything that the export folds into it."""
        extra = {other.name: other for other in function.layers}
        gain = extra[f"{layer.name}_gain"].scale if f"{layer.name}_gain" in extra else 1.0
        shift = extra[f"{layer.name}_shift"].shift if f"{layer.name}_shift" in extra else 0.0
        shift = np.asarray(shift, np.float64)
        norm = normalizations(function).get(layer.name)
        factor, offset = (1.0, 0.0) if norm is None else batch_normalization(norm)
        (source,) = keras.utils.get_source_inputs(layer.input)
        step = np.asarray(layer.step(), np.float64)
        trained = np.asarray(layer.bias.value, np.float64)
        bias = (trained * factor + offset) * gain + shift
        unit = np.ravel(step) * np.abs(factor) * gain * float(self._grids[source.name].scale)
        codes = np.rint(np.asarray(layer.quantized_kernel()) / np.where(step > 0, step, 1.0))
        units = np.where(unit > 0, bias / np.where(unit > 0, unit, 1.0), np.inf)
        if self._integer_bias:
            rounded = np.where(unit > 0, np.rint(np.where(unit > 0, units, 0.0)) * unit, bias)
            unfolded = (rounded - shift) / gain - offset
            divisor = np.where(factor == 0, 1.0, factor)
            layer.bias.assign(np.where(factor == 0, trained, unfolded / divisor))
        return Convolution(
            name=layer.name,
            kernel=(codes * np.sign(factor)).astype(np.int32),
            bias=units,
            gain=gain,
            shift=shift,
        )


def _grid(quantizer: Any) -> Grid:
    if isinstance(quantizer, RangeQuantizer):  # the nudged grid of TensorFlow's fake quantization
        scale = (quantizer.maximum - quantizer.minimum) / 255
        return Grid(np.float32(scale), round(-quantizer.minimum / scale) - 128)
    assert isinstance(quantizer, ActivationQuantizer)
    return Grid(np.float32(quantizer.grid.scale), zero_point(quantizer.grid))
