"""The metadata buffer of a file, which holds its recipe, network, ranges and origin as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from pams_tf.errors import InputError
from pams_tf.litert import official_metadata
from pams_tf.litert.file_info import FileInfo
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert.packing import repacked, set_metadata
from pams_tf.reading import parse_json
from pams_tf.recipe import QuantizationRecipe

NAME = "pams_tf"
INPUT, OUTPUT = "lr", "sr"
"""Names of the input and output tensor in every file."""


def finish(content: bytes, fields: Mapping[str, Any], author: str = "", license: str = "") -> bytes:
    """A converted file with stable tensor names and its metadata.

    Input and output are renamed to "lr" and "sr", and two descriptions are added to the file:
    `fields` as JSON, and TensorFlow Lite's own metadata for tools that do not know `pams_tf`.

    Args:
      content: the file.
      fields: plain JSON types, as returned by `export.description.describe`.
      author, license: of the network, for TensorFlow Lite's metadata; "" omits them.

    Raises:
      InputError: the content is not a TensorFlow Lite file with one input and one output.
    """

    def change(model: Any) -> None:
        name_images(model)
        set_metadata(model, NAME, json.dumps(fields, indent=1).encode())
        about = official_metadata.image_to_image(_title(fields), author, license)
        set_metadata(model, official_metadata.NAME, about)

    return repacked(content, change)


def name_images(model: Any) -> None:
    """Rename the input of a `ModelT` to "lr" and its output to "sr"; no other tensor keeps them.

    Raises:
      InputError: the model has several inputs or outputs.
    """
    graph = model.subgraphs[0]
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise InputError(
            f"the file has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs, not one "
            "image each"
        )
    for tensor in graph.tensors:
        if tensor.name in (INPUT.encode(), OUTPUT.encode()):
            tensor.name = tensor.name.decode() + "/inside"
    graph.tensors[graph.inputs[0]].name = INPUT
    graph.tensors[graph.outputs[0]].name = OUTPUT


def read(content: bytes) -> dict[str, Any] | None:
    """The `fields` of a file that has not been read yet.

    Raises:
      InputError: as in `fields`, or the content is not a TensorFlow Lite file.
    """
    return fields(read_file(content))


def fields(info: FileInfo) -> dict[str, Any] | None:
    """The fields that `finish` wrote; None for a file without them.

    The recipe is complete: fields that an older file lacks have their defaults.

    Raises:
      InputError: the metadata of this name is not in the form that `describe` returns.
    """
    data = info.metadata.get(NAME)
    if data is None:
        return None
    found = parse_json(data, f"the file's {NAME!r} metadata")
    try:
        sites = found["sites"].values()
        understood = all(site["alpha"] > 0 and site["scale"] > 0 for site in sites)
    except (AttributeError, KeyError, TypeError):
        understood = False
    if not understood:
        raise InputError(f"the file's {NAME!r} metadata has no 'sites' with their alpha and scale")
    if found.get("recipe") is not None:
        source = f"the recipe in the file's {NAME!r} metadata"
        found["recipe"] = QuantizationRecipe.from_dict(found["recipe"], source).to_dict()
    return found


def _title(fields: Mapping[str, Any]) -> str:
    recipe = fields.get("recipe")
    width = f"{recipe['bits']} bits" if recipe else "float"
    return f"{fields['preset']} x{fields['scale']}, {width}"
