"""Matches the tensors of a file with the sites of a network, and compares their weights."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pams_tf.errors import InputError
from pams_tf.litert.file_info import FileInfo, OperatorInfo, TensorInfo
from pams_tf.verification.layers import IMAGE, OUTPUT, Convolution, Layer

# Operators that may follow a site's operator and only clip its result: the site is behind them.
_CLIPS = ("MINIMUM", "MAXIMUM", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")


@dataclasses.dataclass(frozen=True)
class Match:
    """A layer of the simulation and the operators that compute it in the file.

    Attributes:
      layer: the layer of the simulation.
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
      scales: scales of the weights, (1,) or (O,).
      accumulator: the value of one unit of the accumulator, in the unit of the output.
    """

    kernel: np.ndarray
    bias: np.ndarray
    scales: np.ndarray
    accumulator: np.ndarray


def match(
    layers: Sequence[Layer], info: FileInfo, sites: Mapping[str, Any] | None = None
) -> list[Match]:
    """Find each layer in the file by its scale, its channels and the sites that it reads.

    Args:
      layers: layers of the simulation, in order of execution; see `layers.layers`.
      info: the file.
      sites: the file's own metadata on its sites; a tensor's `scale` is taken from it if given.

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
        scale = (sites or {}).get(layer.site, {}).get("scale", layer.grid.scale)
        sources = {places[source] for source in layer.sources}
        end = (
            info.outputs[0]
            if layer.site == OUTPUT
            else _find(layer, np.float32(scale), sources, info, producers, set(places.values()))
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
    """Check that the file has every kernel code and every bias of the simulation.

    A bias may differ by one unit of the accumulator, because it is rounded to int32.

    Returns:
      The number of kernel codes compared.

    Raises:
      InputError: a convolution differs; the message names the first one and what differs.
    """
    compared = 0
    for found in matches:
        for expected in found.layer.convolutions:
            stored = stored_convolution(expected, found, info)
            differing = int(np.sum(stored.kernel != expected.kernel))
            if differing:
                raise InputError(
                    f"{differing} of {stored.kernel.size} weights of {expected.name} (before "
                    f"{found.layer.site}) are not the run's"
                )
            known = np.isfinite(expected.bias)
            error = np.abs(stored.bias - expected.bias)[known]
            if np.any(error > _tolerance(expected.bias[known])):
                raise InputError(
                    f"the bias of {expected.name} (before {found.layer.site}) is not the run's"
                )
            compared += stored.kernel.size
    return compared


def _find(
    layer: Layer,
    scale: np.float32,
    sources: set[int],
    info: FileInfo,
    producers: Mapping[int, OperatorInfo],
    taken: set[int],
) -> int:
    candidates = []
    for position, operator in enumerate(info.graph):
        for index in operator.outputs:
            if index not in taken and _is(info.tensors[index], layer, scale):
                segment = _segment(index, sources, info, producers)
                if segment is not None:
                    candidates.append((len(segment), position, index))
    if not candidates:
        raise InputError(
            f"no tensor in it is {layer.site}: scale {float(scale):.9g}, {layer.channels} channels,"
            f" from {' and '.join(layer.sources)}"
        )
    # The nearest candidate: tensors behind it belong to later sites, unless they only clip it.
    _, position, index = min(candidates)
    for operator in info.graph[position + 1 :]:
        (output,) = operator.outputs[:1]
        if operator.name in _CLIPS and operator.inputs[0] == index:
            if not _is(info.tensors[output], layer, scale):
                break
            index = output
    return index


def _is(tensor: TensorInfo, layer: Layer, scale: np.float32) -> bool:
    # The converter derives the scale of a fixed range by another formula; the scale of a learned
    # range with zero point 0 is exact.
    exact = layer.grid.zero_point == 0
    return (
        tensor.dtype == "int8"
        and tensor.shape[-1:] == (layer.channels,)
        and tensor.zero_points == (layer.grid.zero_point,)
        and len(tensor.scales) == 1
        and (
            tensor.scales[0] == scale if exact else bool(np.isclose(tensor.scales[0], scale, 1e-5))
        )
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


def stored_convolution(expected: Convolution, found: Match, info: FileInfo) -> StoredConvolution:
    """The one convolution of the expected shape among the operators of a match.

    Raises:
      InputError: there is none, or there are several.
    """
    height, width, inputs, filters = expected.kernel.shape
    shape = (filters, height, width, inputs)
    there = [
        operator
        for operator in found.operators
        if operator.name == "CONV_2D" and info.tensors[operator.inputs[1]].shape == shape
    ]
    if len(there) != 1:
        raise InputError(
            f"{len(there)} convolutions of {height}x{width}, {inputs} to {filters} channels, make "
            f"{found.layer.site}; the run has one, {expected.name}"
        )
    (operator,) = there
    image, weights = (info.tensors[index] for index in operator.inputs[:2])
    bias = np.zeros(filters, np.int32)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias = info.tensors[operator.inputs[2]].codes()
    scales = np.asarray(weights.scales, np.float64)
    return StoredConvolution(
        kernel=np.transpose(weights.codes(), (1, 2, 3, 0)),
        bias=bias,
        scales=scales,
        accumulator=scales * float(image.scales[0]),
    )


def _tolerance(bias: np.ndarray) -> np.ndarray:
    """One unit, or the float32 precision of a large bias."""
    return np.maximum(1.0, np.abs(bias) * 1e-6)
