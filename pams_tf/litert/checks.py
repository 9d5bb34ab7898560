"""The promises of an export, asserted from a file alone."""

from collections.abc import Iterable, Mapping

import numpy as np

from pams_tf.errors import InputError
from pams_tf.litert.flatbuffer import read_file


def check_integer(content: bytes, io_dtype: str = "uint8", weights: str = "int8") -> None:
    """Assert that a file computes in integers alone.

    Args:
      content: of the file.
      io_dtype: type that its input and output must have; "float32" is allowed there alone.
      weights: "int4" allows that type too.

    Raises:
      InputError: a tensor is neither int8 nor int32 (nor what is allowed), or an operator is not
        built in; names it.
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
    """Assert that each site's scale is in the file: int8, its zero point, equal in float32.

    Args:
      content: of the file.
      scales: of each site.
      zero_points: of each site; 0 where it is not named.

    Raises:
      InputError: naming the site whose scale is missing.
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
    """Assert that a kernel between two tensors of few bits holds codes of as few.

    Args:
      content: of the file.
      largest: site -> largest code of the kernels between sites of its width; tensors are known
        by their site's name.

    Returns:
      How many kernels lie between such sites.

    Raises:
      InputError: naming the kernel's site and its code.
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
    """The site that the export named a tensor after, "SITE/operator;SITE/...", if one of these."""
    parts = {part.partition("/")[0] for part in name.split(";") if "/" in part}
    return next((site for site in sites if site in parts), None)
