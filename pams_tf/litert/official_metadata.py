"""TensorFlow Lite's own metadata, which third-party tools read.

A flatbuffer of the public schema `metadata_schema.fbs` (file identifier "M001"), in a buffer named
"TFLITE_METADATA". The numbers below are positions of fields in the schema's tables.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers

NAME = "TFLITE_METADATA"
IDENTIFIER = b"M001"
_PARSER_VERSION = "1.0.0"
_IMAGE_PROPERTIES, _NORMALIZATION = 2, 1  # members of the schema's unions
_RGB = 1

Offset = int
Write = Callable[[Any, int], None]


def image_to_image(name: str, author: str = "", license: str = "") -> bytes:
    """Metadata of a model that maps one RGB image in [0, 255] to one such image.

    The images are not normalized: mean 0 and standard deviation 1.

    Args:
      name: name of the model.
      author, license: of the model; "" omits them.
    """
    builder = flatbuffers.Builder(512)
    images = [
        _image(builder, "lr", "Low-resolution RGB image"),
        _image(builder, "sr", "The same image enlarged"),
    ]
    inputs, outputs = (_offsets(builder, [image]) for image in images)
    graph = _table(builder, 10, {2: _offset(inputs), 3: _offset(outputs)})
    texts = {0: name, 4: author, 5: license, 7: _PARSER_VERSION}
    fields = {slot: _offset(builder.CreateString(text)) for slot, text in texts.items() if text}
    fields[3] = _offset(_offsets(builder, [graph]))
    builder.Finish(_table(builder, 8, fields), IDENTIFIER)
    return bytes(builder.Output())


def _image(builder: Any, name: str, description: str) -> Offset:
    """A TensorMetadata."""
    properties = _table(builder, 2, {0: lambda b, slot: b.PrependInt8Slot(slot, _RGB, 0)})
    content = _table(builder, 3, {0: _union(_IMAGE_PROPERTIES), 1: _offset(properties)})
    mean, std = (_floats(builder, [value]) for value in (0.0, 1.0))
    normalization = _table(builder, 2, {0: _offset(mean), 1: _offset(std)})
    unit = _table(builder, 2, {0: _union(_NORMALIZATION), 1: _offset(normalization)})
    units = _offsets(builder, [unit])
    largest, smallest = (_floats(builder, [value]) for value in (255.0, 0.0))
    stats = _table(builder, 2, {0: _offset(largest), 1: _offset(smallest)})
    fields = {
        0: _offset(builder.CreateString(name)),
        1: _offset(builder.CreateString(description)),
        3: _offset(content),
        4: _offset(units),
        5: _offset(stats),
    }
    return _table(builder, 7, fields)


def _table(builder: Any, slots: int, fields: dict[int, Write]) -> Offset:
    builder.StartObject(slots)
    for slot, write in fields.items():
        write(builder, slot)
    return builder.EndObject()


def _offset(value: Offset) -> Write:
    return lambda builder, slot: builder.PrependUOffsetTRelativeSlot(slot, value, 0)


def _union(member: int) -> Write:
    return lambda builder, slot: builder.PrependUint8Slot(slot, member, 0)


def _offsets(builder: Any, values: Sequence[Offset]) -> Offset:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependUOffsetTRelative(value)
    return builder.EndVector()


def _floats(builder: Any, values: Sequence[float]) -> Offset:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()
