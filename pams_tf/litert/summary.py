"""Summary of a .tflite file: operators with their ranges, bytes, MACs, memory and checks."""

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any

from pams_tf.errors import InputError
from pams_tf.litert import metadata
from pams_tf.litert.checks import check_alphas, check_integer, check_weight_codes, site_of
from pams_tf.litert.file_info import FileInfo, OperatorInfo, TensorInfo
from pams_tf.litert.flatbuffer import name_of, read_bytes, read_file
from pams_tf.recipe import QuantizationRecipe


@dataclasses.dataclass(frozen=True)
class OperatorSummary:
    """One operator.

    Example:
      >>> import pams_tf
      >>> from pams_tf import zoo
      >>> operators = pams_tf.inspect(zoo.integer_file("edsr_mobile_x2", 8)).operators
      >>> operators[-2].name, operators[-2].output, operators[-2].dtype
      ('CONV_2D', (1, 360, 640, 3), 'int8')

    Attributes:
      name: built-in name.
      inputs: shapes of its inputs that are not constants.
      kernel, output: shapes of its first constant, () if it has none, and of its result.
      dtype, scale, zero_point: of its result; scale and zero point are None if not quantized.
      sites: the sites whose range the scale encodes, by the file's metadata: several if they share
        a scale, none for a fixed range (image bytes) or a file without metadata.
      alpha: the learned range; None if there are no sites.
      macs: multiply-accumulate operations; None if the file leaves the image size open.
      constants: size of its constants in bytes.

    Source: `inspect`.
    """

    name: str
    inputs: tuple[tuple[int, ...], ...]
    kernel: tuple[int, ...]
    output: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None
    sites: tuple[str, ...]
    alpha: float | None
    macs: int | None
    constants: int


@dataclasses.dataclass(frozen=True)
class Check:
    """A guarantee of the export.

    Example:
      >>> import pams_tf
      >>> from pams_tf import zoo
      >>> check = pams_tf.inspect(zoo.integer_file("edsr_mobile_x2", 8)).checks[0]
      >>> check.promise, check.kept
      ('only integers and built-in operators', True)

    Attributes:
      promise: what is guaranteed.
      kept: whether it is kept; None if the file does not say enough.
      detail: the reason; empty if it is kept.

    Source: `inspect`.
    """

    promise: str
    kept: bool | None
    detail: str = ""


@dataclasses.dataclass(frozen=True)
class Summary:
    """The contents and the costs of a file.

    Example:
      >>> import pams_tf
      >>> from pams_tf import zoo
      >>> summary = pams_tf.inspect(zoo.integer_file("edsr_mobile_x2", 8))
      >>> summary.bytes, round(summary.macs / 1e9, 2)
      (170576, 8.26)

    Attributes:
      bytes: size of the file.
      parts: the same by kind: kernels, biases, other constants, metadata, structure.
      macs: multiply-accumulate operations of all operators at the file's own input size; None, like
        `activation_bytes`, if the file leaves the size open.
      activation_bytes: the least memory for the tensors between operators: the largest total of
        those alive at once. A runtime's arena is larger by alignment and scratch buffers.
      operators: in order of execution.
      checks: the guarantees of the export, for files from elsewhere too.
      remarks: advice for programs that run the file, one sentence each; see `remarks`.
      about: the metadata that the export embedded; None for a file from elsewhere.

    Source: `inspect`.
    """

    bytes: int
    parts: Mapping[str, int]
    macs: int | None
    activation_bytes: int | None
    operators: tuple[OperatorSummary, ...]
    checks: tuple[Check, ...]
    remarks: tuple[str, ...]
    about: Mapping[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return dataclasses.asdict(self)


def inspect(tflite: str | os.PathLike[str] | bytes) -> Summary:
    """Summarize a .tflite file: its contents, its costs, and whether the export's guarantees hold.

    Example:
      >>> import pams_tf
      >>> from pams_tf import zoo
      >>> summary = pams_tf.inspect(zoo.integer_file("edsr_mobile_x2", 8))
      >>> summary.about["preset"], [check.kept for check in summary.checks]
      ('edsr_mobile', [True, True])

    Args:
      tflite: the file, or its content.

    Returns:
      Operators with their shapes (NHWC) and scales, bytes, MACs, memory and checks.

    Raises:
      InputError: the file is missing, truncated or of another format.

    Source: the public schema of TensorFlow Lite files, `schema.fbs`.
    """
    content = read_bytes(tflite)
    info = read_file(content, name_of(tflite))
    about = metadata.fields(info)
    sites = (about or {}).get("sites", {})
    operators = tuple(_operator(operator, info, sites) for operator in info.graph)
    fixed = not any(-1 in tensor.shape for tensor in info.tensors)
    return Summary(
        bytes=len(content),
        parts=_parts(content, info),
        macs=sum(operator.macs or 0 for operator in operators) if fixed else None,
        activation_bytes=_activation_bytes(info) if fixed else None,
        operators=operators,
        checks=(*_checks(content, info, sites), *_weight_checks(content, about)),
        remarks=remarks(info),
        about=about,
    )


def remarks(info: FileInfo) -> tuple[str, ...]:
    """Advice for programs that run a file, one sentence each."""
    sentences = []
    if any(tensor.dtype == "uint8" for tensor in info.io_tensors):
        sentences.append(
            "its images are uint8: LiteRT's CompiledModel runs the QUANTIZE at each end outside "
            "the accelerator and does not report the file as fully accelerated; int8 images avoid "
            "that"
        )
    if any(tensor.dtype == "int4" for tensor in info.tensors):
        sentences.append(
            "its int4 weights are supported neither by XNNPACK, which runs on CPUs, nor by Vela: "
            "expect slow builtin kernels, and a file that is not reported as fully accelerated"
        )
    if any(-1 in tensor.shape for tensor in info.io_tensors):
        sentences.append(
            "its input size is open: some programs open such a file as 1x1, TensorFlow Lite Micro "
            "without a warning; resize the input before tensors are allocated"
        )
    return tuple(sentences)


def _operator(operator: OperatorInfo, info: FileInfo, sites: Mapping[str, Any]) -> OperatorSummary:
    tensors = [info.tensors[index] for index in operator.inputs if index >= 0]
    constants = [tensor for tensor in tensors if tensor.data]
    output = info.tensors[operator.outputs[0]]
    scale = float(output.scales[0]) if output.scales else None
    names = tuple(
        name
        for name, site in sites.items()
        if output.zero_points == (site.get("zero_point", 0),)
        and math.isclose(site["scale"], scale or 0.0, rel_tol=1e-7)
    )
    # Below 8 bits many scales are equal, but the export also names tensors after their site.
    named = site_of(output.name, names)
    names = names if named is None else (named,)
    return OperatorSummary(
        name=operator.name,
        inputs=tuple(tensor.shape for tensor in tensors if not tensor.data),
        kernel=constants[0].shape if constants else (),
        output=output.shape,
        dtype=output.dtype,
        scale=scale,
        zero_point=output.zero_points[0] if output.zero_points else None,
        sites=names,
        alpha=sites[names[0]]["alpha"] if names else None,
        macs=_macs(operator, tensors, output),
        constants=sum(len(tensor.data) for tensor in constants),
    )


def _macs(operator: OperatorInfo, tensors: list[TensorInfo], output: TensorInfo) -> int | None:
    if -1 in output.shape:
        return None
    if operator.name == "CONV_2D":  # kernel (O, H, W, I)
        return math.prod(output.shape) * math.prod(tensors[1].shape[1:])
    if operator.name == "DEPTHWISE_CONV_2D":  # kernel (1, H, W, C)
        return math.prod(output.shape) * math.prod(tensors[1].shape[1:3])
    if operator.name == "TRANSPOSE_CONV":  # inputs: size, kernel (O, H, W, I), image
        return math.prod(tensors[2].shape) * math.prod(tensors[1].shape[:3])
    if operator.name == "FULLY_CONNECTED":  # kernel (O, I)
        return math.prod(output.shape) * tensors[1].shape[-1]
    return 0


def _parts(content: bytes, info: FileInfo) -> dict[str, int]:
    parts = {"kernels": 0, "biases": 0, "other constants": 0}
    for tensor in info.tensors:
        kind = "other constants"
        if len(tensor.shape) == 4:
            kind = "kernels"
        elif len(tensor.shape) == 1 and tensor.scales:
            kind = "biases"
        parts[kind] += len(tensor.data)
    parts["metadata"] = sum(map(len, info.metadata.values()))
    parts["structure"] = len(content) - sum(parts.values())
    return parts


def _activation_bytes(info: FileInfo) -> int:
    """The largest total size of tensors alive at once, each from its producer to its last reader.

    The runtime keeps the input and output tensors throughout.
    """
    last = {index: step for step, op in enumerate(info.graph) for index in op.inputs}
    ends = set(info.inputs) | set(info.outputs)
    alive = sum(info.tensors[index].bytes for index in ends)
    most = alive
    for step, operator in enumerate(info.graph):
        alive += sum(info.tensors[i].bytes for i in operator.outputs if i not in ends)
        most = max(most, alive)
        for index in {*operator.inputs, *operator.outputs} - ends - {-1}:
            if not info.tensors[index].data and last.get(index, step) == step:
                alive -= info.tensors[index].bytes
    return most


def _checks(content: bytes, info: FileInfo, sites: Mapping[str, Any]) -> tuple[Check, ...]:
    # The io_dtype and weights chosen at export, recovered from the file.
    dtypes = {tensor.dtype for tensor in info.io_tensors}
    io_dtype = dtypes.pop() if len(dtypes) == 1 and dtypes <= {"uint8", "float32"} else "int8"
    weights = "int4" if any(tensor.dtype == "int4" for tensor in info.tensors) else "int8"
    promise = "only integers and built-in operators"
    promise += ", except for the float32 images" if io_dtype == "float32" else ""
    promises = [_check(promise, check_integer, content, io_dtype, weights)]
    promise = "every alpha is a scale, in its tensor's unit, bit for bit"
    if sites:
        scales = {name: site["scale"] for name, site in sites.items()}
        zeros = {name: site.get("zero_point", 0) for name, site in sites.items()}
        promises.append(_check(promise, check_alphas, content, scales, zeros))
    else:
        promises.append(Check(promise, None, "the file has no metadata with its alphas"))
    return tuple(promises)


def _weight_checks(content: bytes, about: Mapping[str, Any] | None) -> tuple[Check, ...]:
    """The check of a body below 8 bits: int8 storage could hold codes beyond the trained range."""
    recipe = (about or {}).get("recipe") or {}
    bits = recipe.get("bits", 8)
    if bits >= 8:
        return ()
    assert about is not None
    wide = {name for name, width in recipe.get("layer_bits", {}).items() if width > bits}
    if wide - set(about["sites"]):  # kernels, which have no name in a file
        return ()
    most = QuantizationRecipe.from_dict(recipe, "the file's recipe").kernel_qmax
    largest = {name: most for name, site in about["sites"].items() if site["bits"] == bits}
    promise = f"{bits}-bit weights hold codes of at most +-{most}"
    try:
        checked = check_weight_codes(content, largest)
    except InputError as error:
        return (Check(promise, False, str(error)),)
    return (Check(promise, True if checked else None, f"{checked} kernels"),)


def _check(promise: str, check: Any, *arguments: Any) -> Check:
    try:
        check(*arguments)
    except InputError as error:
        return Check(promise, False, str(error))
    return Check(promise, True)
