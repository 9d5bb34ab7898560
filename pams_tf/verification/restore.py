"""Restores a student from the integer file that was exported from it."""

import dataclasses
import os
from collections.abc import Mapping

import numpy as np

from pams_tf.errors import InputError
from pams_tf.litert import metadata
from pams_tf.litert.file_info import FileInfo
from pams_tf.litert.flatbuffer import name_of, read_file
from pams_tf.models import SuperResolution, build
from pams_tf.models.results import ConvolvedAt
from pams_tf.quantization import quantizers
from pams_tf.quantization.held import InFile
from pams_tf.recipe import QuantizationRecipe
from pams_tf.verification.layers import BYTES, Layer, layers
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
    parts = layers(student, int4=info.has_int4_weights)
    own = [_as_in_file(layer, units) for layer in parts]
    for found in match(own, info):
        for convolution in found.layer.convolutions:
            _fill(student, convolution, found, info)
    return student


def _as_in_file(layer: Layer, units: Mapping[str, float]) -> Layer:
    """The layer with the units of the file, which were others before version 0.2."""

    def held(site: str, tensor: InFile) -> InFile:
        return dataclasses.replace(tensor, unit=units.get(site, tensor.unit))

    sources = zip(layer.sources, layer.source_tensors, strict=True)
    return dataclasses.replace(
        layer,
        tensor=held(layer.site, layer.tensor),
        source_tensors=tuple(held(site, tensor) for site, tensor in sources),
    )


def _fill(student: SuperResolution, convolution: ConvolvedAt, found: Match, info: FileInfo) -> None:
    """Set the kernel and bias of one convolution to the file's, in the network's own unit."""
    (source,) = found.layer.source_tensors if len(found.layer.source_tensors) == 1 else (BYTES,)
    result, unit = convolution.result, found.layer.tensor.unit
    stored = stored_convolution(convolution, found, info)
    step = stored.scales.astype(np.float64) * (source.unit / unit)
    shift = 0.0 if result.shift is None else np.asarray(result.shift)
    layer = result.layer
    layer.bias.assign((stored.bias * stored.accumulator / unit - shift) / result.gain)
    step = np.broadcast_to(step / result.gain, stored.kernel.shape[-1:])
    # The scale of a kernel comes from its range after several roundings to float32; the range that
    # the file's scale came from is a few of them away.
    own_units = convolution.file_units() == (source.unit, unit)
    exact = step
    for ulps in (1, -1, 2, -2, 3, -3, 4, -4, 0):
        layer.kernel.assign(stored.kernel * step)
        layer.set_clip(step * layer.qmax)
        wrong = np.ravel(convolution.in_file()[2]) != stored.scales
        if not (own_units and np.any(wrong)):
            break
        step = np.where(wrong, exact * (1 + ulps * 2.0**-24), step)
    student.get_layer(layer.name).set_weights(layer.get_weights())
