"""What a file says of itself: recipe, network, ranges and origin, as a metadata buffer in it."""

import json
from collections.abc import Mapping
from typing import Any

from pams_tf.errors import InputError
from pams_tf.litert import official_metadata
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert.packing import repacked, set_metadata

NAME = "pams_tf"
INPUT, OUTPUT = "lr", "sr"
"""What the tensors of the images are called in every file."""


def finish(content: bytes, fields: Mapping[str, Any], author: str = "", license: str = "") -> bytes:
    """A converted file as it is handed out.

    Input and output get stable names ("lr" and "sr"), and the file two descriptions of itself:
    `fields` as JSON, and TensorFlow Lite's own metadata for tools that know nothing of `pams_tf`.

    Args:
      content: the file.
      fields: plain JSON types, as `export.description.describe` makes them.
      author, license: of the network, for TensorFlow Lite's metadata; "" leaves them out.

    Raises:
      InputError: the content is no TensorFlow Lite file of one input and one output.
    """

    def change(model: Any) -> None:
        name_images(model)
        set_metadata(model, NAME, json.dumps(fields, indent=1).encode())
        about = official_metadata.image_to_image(_title(fields), author, license)
        set_metadata(model, official_metadata.NAME, about)

    return repacked(content, change)


def name_images(model: Any) -> None:
    """Call the input of a `ModelT` "lr" and its output "sr"; no other tensor may be called so.

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
    """The fields that `finish` wrote; None for a file without them.

    Raises:
      InputError: no TensorFlow Lite file, or metadata of this name that are not what `describe`
        makes.
    """
    data = read_file(content).metadata.get(NAME)
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


def _title(fields: Mapping[str, Any]) -> str:
    recipe = fields.get("recipe")
    width = f"{recipe['bits']} bits" if recipe else "float"
    return f"{fields['preset']} x{fields['scale']}, {width}"
