"""Reader of .tflite files: tensors with their scales, operators and metadata."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pams_tf.errors import InputError

_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if name[0] != "_"}
_BITS = {"int4": 4, "int8": 8, "uint8": 8, "bool": 8, "int16": 16, "float16": 16, "int64": 64}
_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if name[0] != "_"}


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
    """One operator: its built-in name, and the indices of its tensors (-1 for an absent one)."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class FileInfo:
    """A .tflite file: its tensors, and its operators by built-in name, in order of execution.

    Attributes:
      graph: the operators with their tensors, in the same order.
      inputs, outputs: indices of the file's input and output tensors.
      metadata: the metadata buffers by name.
    """

    tensors: tuple[TensorInfo, ...]
    operators: tuple[str, ...]
    graph: tuple[OperatorInfo, ...] = ()
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    metadata: Mapping[str, bytes] = dataclasses.field(default_factory=dict)

    @property
    def io_tensors(self) -> tuple[TensorInfo, ...]:
        """The tensors that are the file's input and output."""
        return tuple(self.tensors[index] for index in (*self.inputs, *self.outputs))


def read_file(source: bytes | str | os.PathLike[str]) -> FileInfo:
    """Read a .tflite file, given by path or by content.

    Raises:
      InputError: the file is missing, truncated or of another format.
    """
    model = read_model(source)
    with _corruption_named(source):
        return _file(model)


def read_model(source: bytes | str | os.PathLike[str]) -> Any:
    """A .tflite file, given by path or by content, as the schema's `ModelT`.

    Raises:
      InputError: the file is missing, truncated or of another format.
    """
    content = read_bytes(source)
    if content[4:8] != b"TFL3":
        raise InputError(f"{_name(source)}: not a TensorFlow Lite file")
    with _corruption_named(source):
        return schema.ModelT.InitFromPackedBuf(content, 0)


def read_bytes(source: bytes | str | os.PathLike[str]) -> bytes:
    """The content of a file, given by path or by content.

    Raises:
      InputError: the file cannot be read.
    """
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from error


def operator_name(code: Any) -> str:
    """The built-in name of an operator code of a `ModelT`, or "CUSTOM name"."""
    # Files from before 2020 hold the code in one byte; newer files hold it in both fields.
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    if builtin == schema.BuiltinOperator.CUSTOM:
        return f"CUSTOM {(code.customCode or b'').decode(errors='replace')}"
    return _OPERATORS[builtin]


def _file(model: Any) -> FileInfo:
    tensors: list[TensorInfo] = []
    graph: list[OperatorInfo] = []
    for subgraph in model.subgraphs:
        first = len(tensors)

        def indices(values: Any, first: int = first) -> tuple[int, ...]:
            values = () if values is None else values
            return tuple(int(value) + first if value >= 0 else -1 for value in values)

        tensors += [_tensor(tensor, model.buffers) for tensor in subgraph.tensors]
        graph += [
            OperatorInfo(
                operator_name(model.operatorCodes[operator.opcodeIndex]),
                indices(operator.inputs),
                indices(operator.outputs),
            )
            for operator in subgraph.operators
        ]
        if first == 0:
            inputs, outputs = indices(subgraph.inputs), indices(subgraph.outputs)
    metadata = {
        (entry.name or b"").decode(errors="replace"): _data(model.buffers[entry.buffer])
        for entry in model.metadata or ()
    }
    for operator in graph:
        if not operator.outputs or max(*operator.inputs, *operator.outputs) >= len(tensors):
            raise IndexError(f"{operator.name} has no output, or tensors that are not there")
    names = tuple(operator.name for operator in graph)
    return FileInfo(tuple(tensors), names, tuple(graph), inputs, outputs, metadata)


def _data(buffer: Any) -> bytes:
    return b"" if buffer.data is None else bytes(bytearray(buffer.data))


def _tensor(tensor: Any, buffers: Any) -> TensorInfo:
    quantization = tensor.quantization
    scales = getattr(quantization, "scale", None)
    zeros = getattr(quantization, "zeroPoint", None)
    shape = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    return TensorInfo(
        name=(tensor.name or b"").decode(errors="replace"),
        dtype=_TYPES[tensor.type],
        shape=tuple(int(size) for size in (() if shape is None else shape)),
        scales=tuple(np.float32(scale) for scale in (() if scales is None else scales)),
        zero_points=tuple(int(zero) for zero in (() if zeros is None else zeros)),
        data=_data(buffers[tensor.buffer]),
    )


@contextlib.contextmanager
def _corruption_named(source: bytes | str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # flatbuffers raises struct, index and type errors, among others
        raise InputError(f"{_name(source)}: truncated or corrupt TensorFlow Lite file") from error


def _name(source: bytes | str | os.PathLike[str]) -> str:
    return "the file" if isinstance(source, bytes) else str(source)
