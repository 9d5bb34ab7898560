"""The guarantees of an export, checked on the file alone."""

from collections.abc import Iterable, Mapping

import numpy as np

from pams_tf.errors import InputError
from pams_tf.litert.flatbuffer import read_file


def check_integer(content: bytes, io_dtype: str = "uint8", weights: str = "int8") -> None:
    """Check that a file computes only in integers.

    Args:
      content: the content of the file.
      io_dtype: the type that its input and output must have; only they may be "float32".
      weights: "int4" allows int4 tensors too.

    Raises:
      InputError: a tensor is neither int8 nor int32 (nor of an allowed type), or an operator is
        not built in; the message names it.
    """
    info = read_file(content)
    inside = {"int8", "int32"} | ({"int4"} if weights == "int4" else set())
    for tensor in info.tensors:
        allowed = {io_dtype} if tensor in info.io_tensors else inside
        if tensor.dtype not in allowed:
            raise InputError(
                f"the file is not fully integer: tensor {tensor.name!r} is {tensor.dtype}"
            )
    for operator in info.operators:
        if operator.startswith("CUSTOM"):
            raise InputError(f"the file needs an operator that is not built in: {operator}")


def check_alphas(
    content: bytes, scales: Mapping[str, float], zero_points: Mapping[str, int] | None = None
) -> None:
    """Check that the file has an int8 tensor with each site's zero point and exact float32 scale.

    Args:
      content: the content of the file.
      scales: the scale of each site.
      zero_points: the zero point of each site; 0 for sites that are not in it.

    Raises:
      InputError: a scale is missing; the message names its site.
    """
    found = {
        (float(tensor.scales[0]), tensor.zero_points[0])
        for tensor in read_file(content).tensors
        if tensor.dtype == "int8" and len(tensor.scales) == len(tensor.zero_points) == 1
    }
    for name, scale in scales.items():
        zero_point = (zero_points or {}).get(name, 0)
        if (float(np.float32(scale)), zero_point) not in found:
            raise InputError(
                f"the file has no tensor with the scale {scale!r} and the zero point {zero_point} "
                f"of {name}"
            )


def check_weight_codes(content: bytes, largest: Mapping[str, int]) -> int:
    """Check that the codes of each kernel between two low-bit tensors fit that bit width.

    Args:
      content: the content of the file.
      largest: site -> the largest code allowed in kernels between sites of its bit width; tensors
        are recognized by the name of their site.

    Returns:
      The number of kernels between such sites.

    Raises:
      InputError: a code is too large; the message names it and the kernel's site.
    """
    info = read_file(content)
    checked = 0
    for operator in info.graph:
        source, target = (
            site_of(info.tensors[index].name, largest)
            for index in (operator.inputs[0], operator.outputs[0])
        )
        if operator.name != "CONV_2D" or source is None or target is None:
            continue
        codes = info.tensors[operator.inputs[1]].codes().astype(int)
        most = int(np.abs(codes).max())
        if most > min(largest[source], largest[target]):
            raise InputError(
                f"the kernel before {target} has a code of {most}, beyond +-{largest[target]}"
            )
        checked += 1
    return checked


def site_of(name: str, sites: Iterable[str]) -> str | None:
    """The site in a tensor's name "SITE/operator;SITE/...", if it is one of `sites`, else None."""
    parts = {part.partition("/")[0] for part in name.split(";") if "/" in part}
    return next((site for site in sites if site in parts), None)
