"""Post-training quantization: from a float network to a calibrated student."""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from pams_tf.data.calibration import Images, lr_batches
from pams_tf.data.colour import seen
from pams_tf.data.graphics import flat_colours
from pams_tf.errors import InputError
from pams_tf.models.equalization import equalized
from pams_tf.models.files import Source, load
from pams_tf.models.fitting import fit_kernels
from pams_tf.models.network import SuperResolution
from pams_tf.models.transfer import with_recipe
from pams_tf.quantization import calibrate, quantizers, search_ranges
from pams_tf.recipe import INITIAL_RANGES, INITIAL_WEIGHTS, QuantizationRecipe, check_choice


def quantize(
    model: Source,
    recipe: QuantizationRecipe,
    images: Images = None,
    *,
    percentile: float = 100.0,
    initial_range: str = "ema",
    initial_weights: str = "teacher",
) -> SuperResolution:
    """Quantize a float network and calibrate its ranges, without training.

    Every image counts equally: a range in the body is the mean of the largest magnitudes of the
    images (paper, Eq. 4, with all images as one step), a range in the head or tail the largest of
    them. With `initial_range="error"` each range is searched for the smallest error of the enlarged
    images. Beside photographs, `data.graphics.flat_colours` are seen: by head and tail alone under
    Eq. 4, by all ranges that are searched, and by kernels that are fitted.

    Example:
      >>> import pams_tf
      >>> recipe = pams_tf.QuantizationRecipe(bits=8, scope="all")
      >>> student = pams_tf.quantize("edsr_mobile_x2", recipe)
      >>> student.recipe.bits, student.calibrated
      (8, True)

    Args:
      model: a float network: any functional Keras model (see `from_keras`), a `.keras` file, a run
        folder, or a name in the zoo. It is not changed.
      recipe: how to quantize it.
      images: LR images in [0, 255]: one array (N, H, W, 3) or (H, W, 3), or an iterable of such
        arrays; or a folder of HR photographs, which are downscaled; None for the built-in ones. A
        few dozen do: fitted kernels take a pass over all of them for each convolution.
      percentile: use this percentile of each image's values at a site instead of its extremes;
        above 50, up to 100. At 4 bits, 99.9 keeps 0.6 to 2 dB that 100 loses (EDSR-mobile and
        EDSR-baseline x4); at 8 bits, 100 is best.
      initial_range: "ema" for ranges from Eq. 4, or "error" for those with the smallest error, see
        `quantization.search_ranges`.
      initial_weights: "teacher" for the float weights, each rounded to the nearest code; or
        "fitted" for kernels rounded so that every convolution computes what the float one does, see
        `models.fit_kernels`.

    Returns:
      A student with the float weights and calibrated ranges, which can be evaluated, converted and
      saved like any other network.

    Raises:
      InputError: the network is already quantized, there are no images, they cannot be used, or
        `initial_range` or `initial_weights` is unknown or cannot be used with the rest.

    Source: Li et al., ECCV 2020, Eq. 1 to 4.
    """
    network = load(model)
    if network.recipe is not None:
        raise InputError(
            f"{network.described} is already quantized, with {network.recipe.bits} bits; give the "
            "float network"
        )
    check_choice("initial_range", initial_range, INITIAL_RANGES)
    check_choice("initial_weights", initial_weights, INITIAL_WEIGHTS)
    if initial_range == "error" and percentile != 100:
        raise InputError(
            f"percentile={percentile!r} is not for initial_range='error', which looks for the best "
            "range itself; leave one of them out"
        )
    batches = list(lr_batches(images, network.scale, network.channels))  # read again and again
    if recipe.equalize:
        network = equalized(network, batches)
    student = with_recipe(network, recipe)
    searched = with_flat_colours(batches, student.channels) if _photographs(images) else batches
    if initial_range == "error":
        search_ranges(student, network, searched)
    else:
        calibrate(student, network, batches, percentile=percentile, together=True)
        if _photographs(images):
            reach_every_colour(student, network)
    if initial_weights == "fitted":
        fit_kernels(student, network, searched)
    return student


def with_flat_colours(batches: Iterable[Any], channels: int) -> list[Any]:
    """Batches of photographs and, behind them, one of flat colours, for searching and fitting.

    Of 125 colours, 30 shift in the 8-bit file of EDSR-mobile x3 without them, by up to 21 grey
    levels, and one by 4 with them. On Set5 that file gained 0.02 dB; those of three other networks
    lost 0.00 to 0.04 dB.
    """
    return [*batches, seen(flat_colours(), channels).astype(np.float32)]


def reach_every_colour(
    student: SuperResolution, observed: SuperResolution, only: Iterable[str] | None = None
) -> None:
    """Widen the ranges of head and tail to what flat, saturated colours need.

    Photographs hardly have such colours, and a range that ends before them shifts them: up to 24
    grey levels in the 8-bit files of version 0.1. The tensors that matter carry the image around
    the body. In the body, whose ranges trim peaks on purpose, such a range costs 0.4 dB at 4 bits
    and gains nothing (EDSR-mobile x4).

    Args:
      student: its ranges are widened in place.
      observed: the network whose activations count, as in `calibrate`.
      only: names of quantizers to leave the others alone.
    """
    names = {q.name for q in quantizers(student) if q.calibration == "maximum"}
    names &= names if only is None else set(only)
    calibrate(student, observed, [seen(flat_colours(), student.channels)], only=names)


def fully_quantized(
    student: SuperResolution, images: Images = None, percentile: float = 100.0
) -> SuperResolution:
    """The student with a quantizer at every site: the network that an integer file mirrors.

    A student of scope "all" is returned unchanged. For scope "body", the ranges of head and tail
    are the largest values of the student's own activations there, or the largest of the images'
    percentiles; the ranges of the body stay as learned.

    Example:
      >>> import numpy as np
      >>> import pams_tf
      >>> from pams_tf import models, quantization
      >>> network = models.build("edsr_nano", 2, blocks=1, features=4)
      >>> images = np.random.default_rng(1).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
      >>> student = pams_tf.quantize(network, pams_tf.QuantizationRecipe(scope="body"), images)
      >>> whole = models.fully_quantized(student, images)
      >>> len(quantization.quantizers(student)) < len(quantization.quantizers(whole))
      True

    Args:
      student: a network with a recipe.
      images: as in `quantize`; needed only for scope "body".
      percentile: use this percentile of each image's values at a site instead of its extremes; 100
        trims nothing and was best where measured.

    Returns:
      A student of scope "all".

    Raises:
      InputError: scope "body" without images, a percentile out of range, or one below 100 for
        scope "all".

    Source: docs/integer_files.md.
    """
    assert student.recipe is not None
    if student.recipe.scope == "all":
        if percentile != 100:
            raise InputError(
                f"percentile={percentile!r} is not possible for a student of scope 'all': it has "
                "learned every range; leave it out"
            )
        return student
    if images is None:
        raise InputError(
            "a student of scope 'body' has no ranges for head and tail; give calibration images"
        )
    whole = with_recipe(student, student.recipe.replace(scope="all"))
    learned = {q.name for q in quantizers(student)}
    missing = [q.name for q in quantizers(whole) if q.name not in learned]
    batches = lr_batches(images, student.scale, student.channels)
    calibrate(whole, student, batches, only=missing, percentile=percentile)
    if _photographs(images):
        reach_every_colour(whole, student, only=missing)
    return whole


def _photographs(images: Images) -> bool:
    """Whether the images are photographs to be read; arrays are what their owner means."""
    return images is None or isinstance(images, str | os.PathLike)
