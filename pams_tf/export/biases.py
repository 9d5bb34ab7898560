"""Biases that the converter cannot be told exactly."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from pams_tf.litert.packing import repacked

PRECISE = 2.0**20
"""Codes below this survive the way through a float32 constant and the converter's division."""


def with_exact_biases(content: bytes, biases: Iterable[np.ndarray]) -> bytes:
    """The file with the student's own int32 biases in the place of those that are units away.

    The converter takes a bias as float32, which holds 24 bits, and divides it by a scale. A bias of
    millions of units, in front of a tensor with a very small range, comes out some units off.

    Args:
      content: the file.
      biases: the codes (O,) of each convolution, whole numbers.
    """
    wanted = [codes for codes in biases if np.abs(codes).max(initial=0) >= PRECISE]
    if not wanted:
        return content

    def change(model: Any) -> None:
        for buffer, codes in _int32_constants(model):
            for exact in wanted:
                if codes.shape == exact.shape and np.all(
                    np.abs(codes - exact) <= np.abs(exact) * 2.0**-21
                ):
                    buffer.data = exact.astype("<i4").view(np.uint8)

    return repacked(content, change)


def _int32_constants(model: Any) -> Iterable[tuple[Any, np.ndarray]]:
    for graph in model.subgraphs:
        for operator in graph.operators:
            for index in operator.inputs[2:3]:
                buffer = model.buffers[graph.tensors[index].buffer] if index >= 0 else None
                if buffer is not None and buffer.data is not None and len(buffer.data) % 4 == 0:
                    yield buffer, np.asarray(buffer.data, np.uint8).view("<i4").astype(np.float64)
