"""Compares a file whose graph is rewritten for an NPU with the CPU file of the same network.

Its layers are not those of the network, so they cannot be compared one by one. Those of the CPU
file can, and the two files must have the same weights and produce the same image, code by code.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pams_tf.data.colour import seen
from pams_tf.data.datasets import ImagePairs
from pams_tf.errors import InputError
from pams_tf.export.converter import convert
from pams_tf.litert.file_info import FileInfo, OperatorInfo
from pams_tf.litert.interpreter import ImageInterpreter
from pams_tf.models import SuperResolution


@dataclasses.dataclass(frozen=True)
class TargetParity:
    """The file for an NPU against the CPU file, under one set of kernels.

    Attributes:
      kernels: name of the set of kernels.
      tiles: number of image tiles, of the file's input size, that went through both files.
      codes: number of image bytes compared.
      differing, largest: number of bytes that differ, and the largest difference.
    """

    kernels: str
    tiles: int
    codes: int
    differing: int
    largest: int


def cpu_twin(whole: SuperResolution, info: FileInfo) -> bytes:
    """The CPU file, of open size, of the network that a file for an NPU claims to hold.

    Args:
      whole: the network with a quantizer at every site; see `simulation.simulation`.
      info: the file for the NPU; the CPU file stores weights in int4 if it does.
    """
    return convert(whole, None, weights="int4" if info.has_int4_weights else "int8")


def check_same_weights(info: FileInfo, twin: FileInfo, target: str) -> None:
    """Check that two files have the same kernels and biases, one output channel at a time.

    A convolution that is split keeps its output channels. The last one, to the image, has another
    form if it is computed in front of the depth-to-space ("ethos-u85"), so its channels are left
    out.

    Raises:
      InputError: channels are in only one of the files; the message says how many.
    """
    theirs, ours = (_channels(file.graph, file) for file in (info, twin))
    if target == "ethos-u85":
        ours -= _channels([op for op in twin.graph if op.name == "CONV_2D"][-1:], twin)
        theirs &= ours
    differing = max(len(ours - theirs), len(theirs - ours))
    if differing:
        raise InputError(
            f"kernel or bias of {differing} output channels are not those of the run's cpu file"
        )


def same_images(
    content: bytes,
    twins: Mapping[str, ImageInterpreter],
    pairs: ImagePairs,
    num_threads: int | None = None,
) -> tuple[TargetParity, ...]:
    """Compare the output images of both files on tiles of the NPU file's own size.

    Args:
      content: the file for an NPU.
      twins: set of kernels -> the CPU file under these kernels, which takes any size.
      pairs: the images; one smaller than a tile is mirrored at its border to fill it.
    """
    results = []
    for kernels, twin in twins.items():
        file = ImageInterpreter(content, num_threads, kernels=kernels)
        assert file.fixed_size is not None  # `convert` requires a size for an NPU
        twin.resize(*file.fixed_size)
        tiles = codes = differing = largest = 0
        for index in range(len(pairs)):
            low = seen(pairs.load(index)[0], file.channels).astype(np.uint8)
            for tile in _tiles(low, file.fixed_size):
                difference = np.abs(file.run(tile).astype(np.int16) - twin.run(tile))
                tiles, codes = tiles + 1, codes + difference.size
                differing += int(np.count_nonzero(difference))
                largest = max(largest, int(difference.max()))
        results.append(TargetParity(kernels, tiles, codes, differing, largest))
    return tuple(results)


def _channels(
    graph: Sequence[OperatorInfo], info: FileInfo
) -> set[tuple[tuple[int, ...], bytes, int]]:
    """Shape, codes and bias of each output channel of each convolution in `graph`."""
    channels = set()
    for operator in graph:
        if operator.name == "CONV_2D":
            kernel, bias = (info.tensors[index].codes() for index in operator.inputs[1:3])
            channels |= {
                (part.shape, part.tobytes(), int(offset))
                for part, offset in zip(kernel, bias, strict=True)
            }
    return channels


def _tiles(image: np.ndarray, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Tiles (h, w, 3) of `size` that cover the image; the last ones overlap their neighbours."""
    missing = [max(0, want - have) for want, have in zip(size, image.shape[:2], strict=True)]
    image = np.pad(image, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")
    starts = [
        sorted({*range(0, have - want + 1, want), have - want})
        for want, have in zip(size, image.shape[:2], strict=True)
    ]
    for y in starts[0]:
        for x in starts[1]:
            yield image[y : y + size[0], x : x + size[1]]
