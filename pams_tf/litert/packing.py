"""Rewriting of .tflite files: everything that is not changed on purpose stays as it was."""

from collections.abc import Callable
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from pams_tf.litert.flatbuffer import read_model

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # of a constant's bytes, required by the schema


def repacked(content: bytes, change: Callable[[Any], None]) -> bytes:
    """The file after `change(model)`, where `model` is the schema's `ModelT`.

    Constants are aligned to 16 bytes, as the schema requires; those of the converter are not.

    Raises:
      InputError: the content is not a TensorFlow Lite file.
    """
    model = read_model(content)
    change(model)
    model.buffers = [_AlignedBuffer(buffer) for buffer in model.buffers]
    builder = flatbuffers.Builder(len(content) + 1024)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def set_metadata(model: Any, name: str, data: bytes) -> None:
    """Add a named metadata buffer to a `ModelT`; replaces a buffer of the same name."""
    for entry in model.metadata or ():
        if entry.name == name.encode():
            model.buffers[entry.buffer].data = list(data)
            return
    buffer = schema.BufferT()
    buffer.data = list(data)
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]


class _AlignedBuffer:
    """Packs like `schema.BufferT`, but with the alignment that the schema requires."""

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the name flatbuffers calls
        data = self._buffer.data
        offset = None
        if data is not None and len(data):
            data = bytes(bytearray(data))
            builder.StartVector(1, len(data), _ALIGNMENT)
            builder.head = builder.Head() - len(data)
            builder.Bytes[builder.Head() : builder.Head() + len(data)] = data
            offset = builder.EndVector()
        schema.BufferStart(builder)
        if offset is not None:
            schema.BufferAddData(builder, offset)
        return schema.BufferEnd(builder)
