"""What a file says of itself: recipe, network, ranges and origin, as a metadata buffer in it."""

import json
from collections.abc import Mapping
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

import pams_tf
from pams_tf.errors import InputError
from pams_tf.export.grids import zero_point
from pams_tf.export.inspection import TensorInfo, inspect, read_model
from pams_tf.models import SuperResolution
from pams_tf.training.distillation import quantizers

NAME = "pams_tf"
_ALIGNMENT = 16  # what the schema asks of a constant's bytes


def describe(
    content: bytes,
    student: SuperResolution,
    whole: SuperResolution,
    units: Mapping[str, float],
    target: str,
    run: str | None,
) -> dict[str, Any]:
    """What a converted file shall say of itself, as plain JSON types.

    Args:
      content: the file, from which its input and output are read.
      student: the network as it was trained: its recipe.
      whole: the network with a quantizer at every site (see `whole_network`): its ranges.
      units: of each site's tensor in the file (see `IntegerSites`).
      target, run: as `convert` takes them.
    """
    info = inspect(content)
    return {
        "package": f"pams_tf {pams_tf.__version__}",
        "preset": student.preset,
        "scale": student.scale,
        "overrides": dict(student.overrides),
        "recipe": student.recipe.to_dict() if student.recipe else None,
        "sites": {
            q.name: {
                **q.range,
                "bits": q.bits,
                "unit": units[q.name],
                "scale": units[q.name] * q.grid.scale,
                "zero_point": zero_point(q.grid),
            }
            for q in quantizers(whole)
        },
        "input": _edge(info.tensors[info.inputs[0]]),
        "output": _edge(info.tensors[info.outputs[0]]),
        "run": run,
        "target": target,
    }


def embed(content: bytes, fields: dict[str, Any]) -> bytes:
    """The file with `fields` as its metadata, in the place of what it had; all else as it was.

    Constants are aligned to 16 bytes, as the schema asks and the converter's files are not.

    Raises:
      InputError: the content is no TensorFlow Lite file.
    """
    model = read_model(content)
    data = json.dumps(fields, indent=1).encode()
    for entry in model.metadata or ():
        if entry.name == NAME.encode():
            model.buffers[entry.buffer].data = list(data)
            break
    else:
        buffer = schema.BufferT()
        buffer.data = list(data)
        entry = schema.MetadataT()
        entry.name, entry.buffer = NAME.encode(), len(model.buffers)
        model.buffers.append(buffer)
        model.metadata = [*(model.metadata or ()), entry]
    model.buffers = [_AlignedBuffer(buffer) for buffer in model.buffers]
    builder = flatbuffers.Builder(len(content) + len(data) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def read(content: bytes) -> dict[str, Any] | None:
    """What `embed` wrote; None for a file without it.

    Raises:
      InputError: no TensorFlow Lite file, or metadata of this name that is not what `describe`
        makes.
    """
    data = inspect(content).metadata.get(NAME)
    if data is None:
        return None
    try:
        fields = json.loads(data)
    except ValueError as error:
        raise InputError(f"the file's {NAME!r} metadata is not JSON ({error})") from None
    try:
        sites = fields["sites"].values()
        understood = all(site["alpha"] > 0 and site["scale"] > 0 for site in sites)
    except (AttributeError, KeyError, TypeError):
        understood = False
    if not understood:
        raise InputError(f"the file's {NAME!r} metadata has no 'sites' with their alpha and scale")
    return fields


class _AlignedBuffer:
    """Packs like `schema.BufferT`, which leaves out the alignment that the schema asks for."""

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


def _edge(tensor: TensorInfo) -> dict[str, Any]:
    """How pixels p are written: the code p / scale + zero_point, or p itself in float."""
    return {
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "scale": float(tensor.scales[0]) if tensor.scales else None,
        "zero_point": tensor.zero_points[0] if tensor.zero_points else None,
    }
