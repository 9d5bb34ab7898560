"""The metadata that a converted file carries: network, recipe, ranges and origin, as JSON types."""

from typing import Any

import pams_tf
from pams_tf.litert.file_info import TensorInfo
from pams_tf.litert.flatbuffer import read_file
from pams_tf.models import SuperResolution
from pams_tf.quantization import quantizers


def describe(
    content: bytes,
    student: SuperResolution,
    whole: SuperResolution,
    target: str,
    run: str | None,
) -> dict[str, Any]:
    """The fields of a file's metadata.

    Args:
      content: the file, from which the input and output tensors are read.
      student: the network as trained, which has the recipe.
      whole: the network with a quantizer at every site (see `fully_quantized`), which has the
        ranges.
      target, run: the arguments of `convert`.
    """
    info = read_file(content)
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
                "unit": held.unit,
                "scale": held.scale,
                "zero_point": held.zero_point,
            }
            for q in quantizers(whole)
            for held in [whole.sites[q.name].held.in_file()]
        },
        "input": _image_tensor(info.tensors[info.inputs[0]]),
        "output": _image_tensor(info.tensors[info.outputs[0]]),
        "run": run,
        "target": target,
    }


def _image_tensor(tensor: TensorInfo) -> dict[str, Any]:
    """How a pixel value p is stored: as the code p / scale + zero_point; in float as p itself."""
    return {
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "scale": float(tensor.scales[0]) if tensor.scales else None,
        "zero_point": tensor.zero_points[0] if tensor.zero_points else None,
    }
