"""What is in a .tflite file: tensors with their scales, operators, and the promises kept."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pams_tf.errors import InputError

_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if name[0] != "_"}
_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if name[0] != "_"}


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """One tensor: `scales` and `zero_points` are empty without quantization."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: tuple[np.float32, ...]
    zero_points: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class FileInfo:
    """A .tflite file: its tensors, and its operators by built-in name, in order of execution.

    `edges` are those of the tensors that are the file's input and output.
    """

    tensors: tuple[TensorInfo, ...]
    edges: tuple[TensorInfo, ...]
    operators: tuple[str, ...]


def inspect(source: bytes | str | os.PathLike[str]) -> FileInfo:
    """Read a .tflite file, by path or by content.

    Raises:
      InputError: the file is missing, truncated or of another kind.
    """
    content, name = (
        (source, "the file") if isinstance(source, bytes) else (_read(Path(source)), str(source))
    )
    if content[4:8] != b"TFL3":
        raise InputError(f"{name}: not a TensorFlow Lite file")
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        graphs = model.subgraphs
        tensors = [_tensor(tensor) for graph in graphs for tensor in graph.tensors]
        ends = [*graphs[0].inputs, *graphs[0].outputs]
        edges = [_tensor(graphs[0].tensors[index]) for index in ends]
        codes = model.operatorCodes
        operators = [_operator(codes[op.opcodeIndex]) for g in graphs for op in g.operators]
    except Exception as error:  # flatbuffers raises struct, index and type errors
        raise InputError(f"{name}: truncated or corrupt TensorFlow Lite file") from error
    return FileInfo(tuple(tensors), tuple(edges), tuple(operators))


def check_integer(content: bytes, edges: str = "int8", weights: str = "int8") -> None:
    """Assert that a file computes in integers alone.

    Args:
      content: of the file.
      edges: type that its input and output must have; "float32" is allowed there alone.
      weights: "int4" allows that type too.

    Raises:
      InputError: a tensor is neither int8 nor int32 (nor what is allowed), or an operator is not
        built in; names it.
    """
    info = inspect(content)
    inside = {"int8", "int32"} | ({"int4"} if weights == "int4" else set())
    for tensor in info.tensors:
        allowed = {edges} if tensor in info.edges else inside
        if tensor.dtype not in allowed:
            raise InputError(
                f"the file is not fully integer: tensor {tensor.name!r} is {tensor.dtype}"
            )
    for operator in info.operators:
        if operator.startswith("CUSTOM"):
            raise InputError(f"the file needs an operator that is not built in: {operator}")


def check_alphas(content: bytes, scales: Mapping[str, float]) -> None:
    """Assert that each site's scale is in the file: int8, zero point 0, equal in float32.

    Raises:
      InputError: naming the site whose scale is missing.
    """
    found = {
        float(tensor.scales[0])
        for tensor in inspect(content).tensors
        if tensor.dtype == "int8" and len(tensor.scales) == 1 and tensor.zero_points == (0,)
    }
    for name, scale in scales.items():
        if float(np.float32(scale)) not in found:
            raise InputError(f"the file has no tensor with the scale {scale!r} of {name}")


def _tensor(tensor: Any) -> TensorInfo:
    quantization = tensor.quantization
    scales = getattr(quantization, "scale", None)
    zeros = getattr(quantization, "zeroPoint", None)
    return TensorInfo(
        name=(tensor.name or b"").decode(errors="replace"),
        dtype=_TYPES[tensor.type],
        shape=tuple(int(size) for size in (() if tensor.shape is None else tensor.shape)),
        scales=tuple(np.float32(scale) for scale in (() if scales is None else scales)),
        zero_points=tuple(int(zero) for zero in (() if zeros is None else zeros)),
    )


def _operator(code: Any) -> str:
    # Files from before 2020 hold the code in a byte; newer ones in both.
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    if builtin == schema.BuiltinOperator.CUSTOM:
        return f"CUSTOM {(code.customCode or b'').decode(errors='replace')}"
    return _OPERATORS[builtin]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
