"""What each quantized tensor of a student costs in quality, one at a time."""

import dataclasses
import os
from typing import Any

from pams_tf.data.datasets import ImagePairs
from pams_tf.errors import InputError
from pams_tf.evaluation.benchmark import evaluate, find_pairs
from pams_tf.evaluation.upscaler import keras_upscale
from pams_tf.models import SuperResolution, with_recipe
from pams_tf.quantization import ActivationQuantizer, QuantConv2D, quantizers
from pams_tf.reporting.progress import tracked

FINE = 16
"""Bits of all other tensors, which cost nothing by themselves."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of one tensor.

    Example:
      >>> from pams_tf.evaluation.sensitivity import Cost
      >>> Cost("block_0_conv_0", "weights", bits=4, loss=0.25).loss
      0.25

    Attributes:
      name: name of its convolution or site.
      kind: "weights" or "activations".
      bits: its bit width in the student.
      loss: PSNR-Y (dB) that it costs while every other tensor has 16 bits; below 0 if it gains.

    Source: `sensitivity`.
    """

    name: str
    kind: str
    bits: int
    loss: float


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """PSNR-Y (dB) of a student, with everything at 16 bits and the cost of each tensor.

    Example:
      >>> from pams_tf.evaluation.sensitivity import Cost, Sensitivity
      >>> found = Sensitivity(psnr=34.3, fine=34.7, costs=[Cost("head", "weights", 8, 0.1)])
      >>> found.costs[0].name
      'head'

    Attributes:
      psnr: of the student.
      fine: of the student with 16 bits everywhere.
      costs: the tensors, the most expensive first. The sum need not be `fine - psnr`: errors of
        several tensors may add up or cancel.

    Source: `sensitivity`.
    """

    psnr: float
    fine: float
    costs: list[Cost]

    def layer_bits(self, count: int, bits: int = 8) -> dict[str, int]:
        """More bits for the tensors that cost most, as `QuantizationRecipe.layer_bits` takes them.

        Args:
          count: how many tensors; those that have as many bits already are left out.
          bits: their bit width.
        """
        poor = [cost.name for cost in self.costs if cost.bits < bits and cost.loss > 0]
        return dict.fromkeys(poor[:count], bits)


def sensitivity(
    student: SuperResolution,
    images: ImagePairs | str | os.PathLike[str] = "sample",
    *,
    progress: bool = False,
) -> Sensitivity:
    """Measure what each tensor costs: the student with 16 bits everywhere but in this tensor.

    Weights, ranges and everything else are those of the student. Slopes of a PReLU always have 8
    bits.

    Example:
      >>> import pams_tf
      >>> from pams_tf import models
      >>> network = models.build("edsr_nano", 2, blocks=1, features=4)
      >>> models.start_as_interpolation(network)
      >>> student = pams_tf.quantize(network, pams_tf.QuantizationRecipe(bits=2, scope="all"))
      >>> found = pams_tf.sensitivity(student)
      >>> found.costs[0].loss > found.costs[-1].loss
      True

    Args:
      student: a calibrated student of at most 8 bits.
      images: as in `evaluate`.
      progress: show a progress bar on a terminal.

    Returns:
      PSNR-Y of the student and what each convolution's weights and each site's activations cost.

    Raises:
      InputError: the network is float, has 16 bits or was never calibrated, or the images cannot be
        used.

    Source: PSNR as in `evaluate`.
    """
    recipe = student.recipe
    if recipe is None or not recipe.fits_int8 or not student.calibrated:
        raise InputError(f"{student.described}: give a calibrated student of at most 8 bits")
    pairs = find_pairs(images, student.scale)

    def psnr(network: SuperResolution) -> float:
        return evaluate(keras_upscale(network), pairs).psnr

    fine = with_recipe(student, recipe.replace(bits=FINE, head_tail_bits=FINE, layer_bits={}))
    costs = []
    every = psnr(fine)
    layers: list[Any] = [layer for layer in fine.layers if isinstance(layer, QuantConv2D)]
    layers += quantizers(fine)
    for layer in tracked(layers, "sensitivity", visible=progress):
        kind = "activations" if isinstance(layer, ActivationQuantizer) else "weights"
        bits = student.get_layer(layer.name).bits
        layer.bits = bits
        costs.append(Cost(layer.name, kind, bits, every - psnr(fine)))
        layer.bits = FINE
    costs.sort(key=lambda cost: -cost.loss)
    return Sensitivity(psnr(student), every, costs)
