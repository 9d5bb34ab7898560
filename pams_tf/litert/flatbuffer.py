"""Reader of .tflite files: tensors with their scales, operators and metadata."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pams_tf import reading
from pams_tf.errors import InputError
from pams_tf.litert.file_info import FileInfo, OperatorInfo, TensorInfo
from pams_tf.litert.soundness import check_sound
from pams_tf.reading import MOST_MODEL_BYTES

_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if name[0] != "_"}
_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if name[0] != "_"}


def read_file(source: bytes | str | os.PathLike[str], name: str | None = None) -> FileInfo:
    """Read a .tflite file, given by path or by content.

    Args:
      source: the file, or its content.
      name: what messages call it; by default `name_of(source)`.

    Raises:
      InputError: the file is missing, truncated or of another format; or it would end the process
        that runs it, see `check_sound`.
    """
    name = name or name_of(source)
    model = read_model(source, name)
    with _corruption_named(name):
        info = _file(model)
    try:
        check_sound(info)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return info


def read_model(source: bytes | str | os.PathLike[str], name: str | None = None) -> Any:
    """A .tflite file, given by path or by content, as the schema's `ModelT`; see `read_file`.

    Raises:
      InputError: the file is missing, truncated or of another format.
    """
    name = name or name_of(source)
    content = read_bytes(source)
    if content[4:8] != b"TFL3":
        raise InputError(f"{name}: not a TensorFlow Lite file; export or copy it again")
    with _corruption_named(name):
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        _bring_in([buffer for buffer in model.buffers if buffer.offset > 1], content)
    return model


def read_bytes(source: bytes | str | os.PathLike[str]) -> bytes:
    """The content of a file, given by path or by content.

    Raises:
      InputError: the file cannot be read.
    """
    if isinstance(source, bytes):
        return source
    return reading.read_bytes(source, MOST_MODEL_BYTES, "a TensorFlow Lite file is smaller")


def name_of(source: bytes | str | os.PathLike[str]) -> str:
    """What messages call a file: its path, or "the file" if only its content is known."""
    return "the file" if isinstance(source, bytes) else str(source)


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
                vars(operator.builtinOptions) if operator.builtinOptions is not None else {},
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
    if not all(0 <= index < len(tensors) for index in (*inputs, *outputs)):
        raise IndexError("an input or output is a tensor that is not there")
    names = tuple(operator.name for operator in graph)
    variables = [tensor.isVariable for part in model.subgraphs for tensor in part.tensors]
    return FileInfo(
        tuple(tensors),
        names,
        tuple(graph),
        inputs,
        outputs,
        metadata,
        variables=frozenset(index for index, variable in enumerate(variables) if variable),
        subgraphs=len(model.subgraphs),
    )


def _bring_in(buffers: Any, content: bytes) -> None:
    """Some writers put large constants behind the flatbuffer, and their places into the buffers.

    A place of 0 or 1 means none, by the schema.
    """
    if sum(buffer.size for buffer in buffers) > len(content):
        raise IndexError("constants overlap, and would take more memory than the file")
    for buffer in buffers:
        # Raises ValueError where the file ends before the constant does.
        buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0


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
def _corruption_named(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # flatbuffers raises struct, index and type errors, among others
        raise InputError(
            f"{name}: truncated or corrupt TensorFlow Lite file; export or copy it again"
        ) from error
