"""Restores a student from the integer file that was exported from it."""

import os

import numpy as np

from pams_tf.errors import InputError
from pams_tf.litert import metadata
from pams_tf.litert.file_info import FileInfo
from pams_tf.litert.flatbuffer import name_of, read_file
from pams_tf.models import SuperResolution, build
from pams_tf.quantization import quantizers
from pams_tf.recipe import QuantizationRecipe
from pams_tf.verification.layers import Convolution, layers
from pams_tf.verification.matching import Match, match, stored_convolution


def restore_student(tflite: str | os.PathLike[str] | bytes) -> SuperResolution:
    """Rebuild a student from a .tflite file, so that it can be exported in another form.

    An integer file holds everything that its network computes with: weight codes and their scales,
    biases, and every range in its metadata. The student gets them, with weights on their grid and
    biases in whole units of the accumulator, and has scope "all", whatever the trained scope was.
    It computes what the file computes; the float weights before rounding are not in the file.

    Args:
      tflite: a file that `convert` made for the CPU, or its content.

    Raises:
      InputError: there is no such file, it is for an NPU, it does not say which network it holds,
        or batch normalization is folded into it.
    """
    name, info = name_of(tflite), read_file(tflite)
    about = metadata.fields(info)
    if about is None or not about.get("recipe"):
        raise InputError(f"{name}: does not say which network it holds; export the run again")
    if about.get("target", "cpu") != "cpu":
        raise InputError(f"{name}: a file for an NPU; give the cpu file of the same run")
    recipe = QuantizationRecipe.from_dict(about["recipe"], source=name).replace(scope="all")
    student = build(about["preset"], about["scale"], recipe, **about.get("overrides", {}))
    if about.get("overrides", {}).get("batch_norm"):
        raise InputError(f"{name}: batch normalization is folded into its weights")
    sites = about["sites"]
    try:
        for quantizer in quantizers(student):
            quantizer.restore_range(sites[quantizer.name])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{name}: its metadata does not have every range ({error})") from error
    units = {site: float(fields["unit"]) for site, fields in sites.items()}
    for found in match(layers(student), info, sites):
        for convolution in found.layer.convolutions:
            _fill(student, convolution, found, info, units)
    return student


def _fill(
    student: SuperResolution,
    convolution: Convolution,
    found: Match,
    info: FileInfo,
    units: dict[str, float],
) -> None:
    """Set the kernel and bias of one convolution to the file's, in the network's own unit."""
    (source,) = found.layer.sources if len(found.layer.sources) == 1 else (None,)
    unit_out = units.get(found.layer.site, 1.0)
    unit_in = units.get(source, 1.0) if source else 1.0
    stored = stored_convolution(convolution, found, info)
    step = np.asarray(stored.scales, np.float64) * (unit_in / unit_out)
    layer = student.get_layer(convolution.name)
    layer.kernel.assign(stored.kernel * step / convolution.gain)
    bias = stored.bias * stored.accumulator / unit_out
    layer.bias.assign((bias - convolution.shift) / convolution.gain)
