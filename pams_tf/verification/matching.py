"""Matches the tensors of a file with the sites of a network, and compares their weights."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pams_tf.errors import InputError
from pams_tf.litert.file_info import FileInfo, OperatorInfo, TensorInfo
from pams_tf.models.results import ConvolvedAt
from pams_tf.verification.layers import IMAGE, OUTPUT, Layer

# Operators that may follow a site's operator and only clip its result: the site is behind them.
_CLIPS = ("MINIMUM", "MAXIMUM", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")


@dataclasses.dataclass(frozen=True)
class Match:
    """A layer of the student and the operators that compute it in the file.

    Attributes:
      layer: the layer of the student.
      tensor: index of the tensor at its end.
      operators: the operators from its sources to that tensor, in order of execution.
    """

    layer: Layer
    tensor: int
    operators: tuple[OperatorInfo, ...]


@dataclasses.dataclass(frozen=True)
class StoredConvolution:
    """A convolution in the file.

    Attributes:
      kernel: (H, W, I, O) codes.
      bias: (O,) int32, in units of the accumulator.
      scales: scales of the weights, (1,) or (O,) float32.
      accumulator: the value of one unit of the accumulator, in the unit of the output.
    """

    kernel: np.ndarray
    bias: np.ndarray
    scales: np.ndarray
    accumulator: np.ndarray


def match(layers: Sequence[Layer], info: FileInfo) -> list[Match]:
    """Find each layer in the file by its scale, its channels and the sites that it reads.

    Args:
      layers: layers of the student, in order of execution; see `layers.layers`.
      info: the file.

    Raises:
      InputError: a site has no tensor in the file.
    """
    if len(info.inputs) != 1 or len(info.outputs) != 1:
        raise InputError(
            f"it has {len(info.inputs)} inputs and {len(info.outputs)} outputs, not one image each"
        )
    places = {IMAGE: info.inputs[0]}
    producers = {index: operator for operator in info.graph for index in operator.outputs}
    found = []
    for layer in layers:
        sources = {places[source] for source in layer.sources}
        end = (
            info.outputs[0]
            if layer.site == OUTPUT
            else _find(layer, sources, info, producers, set(places.values()))
        )
        segment = _segment(end, sources, info, producers)
        if segment is None:
            raise InputError(
                f"the graph differs: {layer.site} is not computed from "
                f"{' and '.join(layer.sources)} alone"
            )
        places[layer.site] = end
        found.append(Match(layer, end, tuple(op for op in info.graph if op in segment)))
    return found


def check_weights(matches: Sequence[Match], info: FileInfo) -> int:
    """Check that the file has every kernel code, kernel scale and bias of the student.

    Returns:
      The number of kernel codes compared.

    Raises:
      InputError: a convolution differs; the message names the first one and what differs.
    """
    compared = 0
    for found in matches:
        for expected in found.layer.convolutions:
            kernel, bias, scale = expected.in_file()
            stored = stored_convolution(expected, found, info)
            name = f"{expected.result.layer.name} (before {found.layer.site})"
            differing = int(np.sum(stored.kernel != kernel))
            if differing:
                raise InputError(
                    f"{differing} of {stored.kernel.size} weights of {name} are not the run's"
                )
            if np.any(stored.scales != np.ravel(scale)):
                raise InputError(f"the scale of the weights of {name} is not the run's")
            if np.any(stored.bias != bias):
                raise InputError(
                    f"the bias of {name} is not the run's; a file of an older version may differ "
                    "by 1: export the run again"
                )
            compared += stored.kernel.size
    return compared


def _find(
    layer: Layer,
    sources: set[int],
    info: FileInfo,
    producers: Mapping[int, OperatorInfo],
    taken: set[int],
) -> int:
    candidates = []
    for position, operator in enumerate(info.graph):
        for index in operator.outputs:
            if index not in taken and _is(info.tensors[index], layer):
                segment = _segment(index, sources, info, producers)
                if segment is not None:
                    candidates.append((len(segment), position, index))
    if not candidates:
        raise InputError(
            f"no tensor in it is {layer.site}: scale {layer.tensor.scale:.9g}, "
            f"{layer.channels} channels, from {' and '.join(layer.sources)}"
        )
    # The nearest candidate: tensors behind it belong to later sites, unless they only clip it.
    _, position, index = min(candidates)
    for operator in info.graph[position + 1 :]:
        (output,) = operator.outputs[:1]
        if operator.name in _CLIPS and operator.inputs[0] == index:
            if not _is(info.tensors[output], layer):
                break
            index = output
    return index


def _is(tensor: TensorInfo, layer: Layer) -> bool:
    return (
        tensor.dtype == "int8"
        and tensor.shape[-1:] == (layer.channels,)
        and tensor.zero_points == (layer.tensor.zero_point,)
        and tensor.scales == (np.float32(layer.tensor.scale),)
    )


def _segment(
    end: int, sources: set[int], info: FileInfo, producers: Mapping[int, OperatorInfo]
) -> set[OperatorInfo] | None:
    """The operators between `sources` and `end`; None if `end` does not read exactly `sources`."""
    operators: set[OperatorInfo] = set()
    reached, seen, waiting = set(), set(), [end]
    while waiting:
        index = waiting.pop()
        if index in sources and index != end:
            reached.add(index)
        elif index in producers:
            if index not in seen:
                seen.add(index)
                operators.add(producers[index])
                waiting += [i for i in producers[index].inputs if i >= 0]
        elif not info.tensors[index].data:  # not a constant: the graph's input
            return None
    return operators if reached == sources else None


def stored_convolution(expected: ConvolvedAt, found: Match, info: FileInfo) -> StoredConvolution:
    """The one convolution of the expected shape among the operators of a match.

    Raises:
      InputError: there is none, or there are several.
    """
    height, width, inputs, filters = expected.result.layer.kernel.shape
    kind, shape, axes = "CONV_2D", (filters, height, width, inputs), (1, 2, 3, 0)
    if 1 < expected.result.layer.groups == filters:
        kind, shape, axes = "DEPTHWISE_CONV_2D", (1, height, width, filters), (1, 2, 0, 3)
    there = [
        operator
        for operator in found.operators
        if operator.name == kind and info.tensors[operator.inputs[1]].shape == shape
    ]
    if len(there) != 1:
        raise InputError(
            f"{len(there)} convolutions of {height}x{width}, {inputs} to {filters} channels, make "
            f"{found.layer.site}; the run has one, {expected.result.layer.name}"
        )
    (operator,) = there
    image, weights = (info.tensors[index] for index in operator.inputs[:2])
    bias = np.zeros(filters, np.int32)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias = info.tensors[operator.inputs[2]].codes()
    scales = np.asarray(weights.scales, np.float32)
    return StoredConvolution(
        kernel=np.transpose(weights.codes(), axes),
        bias=bias,
        scales=scales,
        accumulator=scales.astype(np.float64) * float(image.scales[0]),
    )
