"""The student layer by layer: a network split at its sites, each layer from codes to codes."""

import dataclasses
from typing import Any

import keras
import numpy as np

from pams_tf.models import SuperResolution
from pams_tf.models.keras_sites import KerasSites
from pams_tf.models.results import Coded, ConvolvedAt, convolutions_of
from pams_tf.quantization.base import CodeGrid
from pams_tf.quantization.held import InFile

IMAGE = "lr"  # the name of the network's input among the sites
OUTPUT = "output"

# The image byte p is the code p - 128, whatever the io_dtype of the file is.
BYTES = InFile(CodeGrid(1.0, 0, 255), unit=1.0, zero_point=-128, clips=False, fused=False)


@dataclasses.dataclass(frozen=True)
class Layer:
    """The part of the network that computes one site from those before it.

    Attributes:
      site: the site at its end; `OUTPUT` for the network's result.
      sources: the sites that it reads; `IMAGE` for the network's input.
      source_tensors: how a file holds the sources.
      tensor: how a file holds the tensor at its end.
      channels: number of channels of that tensor.
      convolutions: the convolutions in it, with the scales that a file computes with.
      function: the layer as a Keras model, from codes of the sources to codes at its end, all with
        the zero point subtracted.
    """

    site: str
    sources: tuple[str, ...]
    source_tensors: tuple[InFile, ...]
    tensor: InFile
    channels: int
    convolutions: tuple[ConvolvedAt, ...]
    function: keras.Model = dataclasses.field(repr=False)

    def __call__(self, codes: dict[str, np.ndarray]) -> np.ndarray:
        """Compute this layer alone: int8 codes (1, H, W, C) of its sources -> those at its end."""
        inputs = [
            codes[site].astype(np.float32) - held.zero_point
            for site, held in zip(self.sources, self.source_tensors, strict=True)
        ]
        return as_int8(self.function(inputs, training=False), self.tensor)


def as_int8(codes: Any, held: InFile) -> np.ndarray:
    """Codes as the file stores them; those of an image are rounded and clipped to bytes first."""
    whole = np.clip(np.rint(np.asarray(codes)), held.grid.qmin, held.grid.qmax)
    return (whole + held.zero_point).astype(np.int8)


def layers(whole: SuperResolution, *, int4: bool = False) -> list[Layer]:
    """Split a network with a quantizer at every site (see `fully_quantized`) into its layers.

    The network's own builder is run again: each site ends one layer and starts the next as an
    input, so a layer corresponds to one or a few operators of an integer file. It computes with
    the network's own layers; nothing here has an arithmetic of its own.

    Args:
      whole: the network; it is not changed.
      int4: kernels of 4 bits or fewer are those of a file that stores them as int4.

    Returns:
      The layers in order of execution; the last one is `OUTPUT`.
    """
    cut = _Cut(whole, int4)
    image = cut.input(keras.Input((None, None, whole.channels), name=IMAGE))
    cut.tensors[IMAGE] = BYTES
    output, _ = whole.architecture.connect(image, whole.scale, cut)
    cut.output(output)
    return cut.layers


class _Cut(KerasSites):
    def __init__(self, whole: SuperResolution, int4: bool) -> None:
        super().__init__(whole.recipe, whole.architecture.unit)
        self._int4 = int4
        self.layers: list[Layer] = []
        self.tensors: dict[str, InFile] = {}
        self._network = whole
        self._image: list[ConvolvedAt] = []

    def convolution(self, x: Any, *arguments: Any, **settings: Any) -> Any:
        result = super().convolution(x, *arguments, **settings)
        if self._int4 and result.layer.bits <= 4:
            result.storage_bits = 4
        return result

    def image(self, x: Any, name: str = "image", *, gain: float = 1.0) -> Any:
        result = super().image(x, name, gain=gain)
        self._image = self._image or convolutions_of(x)
        return result

    def output(self, x: Any) -> Any:
        result = super().output(x)
        self._end(result, OUTPUT, BYTES, self._image)
        return result

    def _at(
        self, x: Any, name: str, quantizer: Any, after_relu: bool, true_values: bool = False
    ) -> Coded:
        end = super()._at(x, name, quantizer, after_relu, true_values)
        held = self._network.sites[name].held.in_file()
        self._end(end.codes, name, held, convolutions_of(x))
        return Coded(keras.Input(end.codes.shape[1:], name=name), end.held)

    def _end(self, x: Any, name: str, held: InFile, convolutions: list[ConvolvedAt]) -> None:
        inputs = keras.utils.get_source_inputs(x)
        sources = tuple(tensor.name for tensor in inputs)
        function = keras.Model(inputs, x)
        for layer in function.layers:
            if layer.weights:
                layer.set_weights(self._network.get_layer(layer.name).get_weights())
        self.tensors[name] = held
        self.layers.append(
            Layer(
                site=name,
                sources=sources,
                source_tensors=tuple(self.tensors[source] for source in sources),
                tensor=held,
                channels=x.shape[-1],
                convolutions=tuple(convolutions),
                function=function,
            )
        )
