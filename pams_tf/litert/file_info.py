"""What a .tflite file holds: tensors with their scales, and operators."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pams_tf.errors import InputError

_BITS = {"int4": 4, "int8": 8, "uint8": 8, "bool": 8, "int16": 16, "float16": 16, "int64": 64}


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file.

    `scales` and `zero_points` are empty if it is not quantized. A dimension that the file leaves
    open is -1 in `shape`. `data` holds the bytes of a constant and is empty for other tensors.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: tuple[np.float32, ...]
    zero_points: tuple[int, ...]
    data: bytes = dataclasses.field(default=b"", repr=False)

    @property
    def bytes(self) -> int:
        """Memory of the tensor, if no dimension is open; an int4 element takes half a byte."""
        return math.ceil(math.prod(self.shape) * _BITS.get(self.dtype, 32) / 8)

    def codes(self) -> np.ndarray:
        """The integers of a constant, in its shape; int4 as int8.

        Raises:
          InputError: the tensor is not an integer constant, or its data does not match its shape.
        """
        if self.dtype not in ("int4", "int8", "int32") or not self.data:
            raise InputError(f"tensor {self.name!r} ({self.dtype}) holds no integer constant")
        codes: Any = np.frombuffer(self.data, np.int32 if self.dtype == "int32" else np.int8)
        if self.dtype == "int4":  # two per byte, low nibble first; the shifts extend the sign
            pairs = [np.right_shift(np.left_shift(codes, 4), 4), np.right_shift(codes, 4)]
            codes = np.stack(pairs, axis=-1).reshape(-1)[: math.prod(self.shape)]
        if codes.size != math.prod(self.shape):
            raise InputError(f"tensor {self.name!r} holds {codes.size} codes for {self.shape}")
        return codes.reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class OperatorInfo:
    """One operator: its built-in name, and the indices of its tensors (-1 for an absent one).

    `options` holds the schema's settings of this kind of operator by their names.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False)


@dataclasses.dataclass(frozen=True)
class FileInfo:
    """A .tflite file: its tensors, and its operators by built-in name, in order of execution.

    Attributes:
      graph: the operators with their tensors, in the same order.
      inputs, outputs: indices of the file's input and output tensors.
      metadata: the metadata buffers by name.
      variables: indices of tensors that keep their values from one run to the next.
      subgraphs: number of graphs in the file; the first one is run, and may call the others.
    """

    tensors: tuple[TensorInfo, ...]
    operators: tuple[str, ...]
    graph: tuple[OperatorInfo, ...] = ()
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    metadata: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    variables: frozenset[int] = frozenset()
    subgraphs: int = 1

    @property
    def has_int4_weights(self) -> bool:
        """Whether a tensor is stored as int4; only kernels are."""
        return any(tensor.dtype == "int4" for tensor in self.tensors)

    @property
    def io_tensors(self) -> tuple[TensorInfo, ...]:
        """The tensors that are the file's input and output."""
        return tuple(self.tensors[index] for index in (*self.inputs, *self.outputs))
