"""The limits of LiteRT's int8 kernels: how large sums can become, how far scales may be apart."""

import warnings

import numpy as np

from pams_tf.errors import InputError
from pams_tf.models.network import SuperResolution
from pams_tf.quantization.functional.codes import EXACT

INT32_MAX = 2**31 - 1
COARSEST = 256
"""XNNPACK refuses a scale that is at least this many times as fine as what is brought to it."""


def largest_sums(network: SuperResolution) -> dict[str, float]:
    """A bound of |sum|, bias included, of each convolution of codes, by its name.

    The sum of the magnitudes of a channel's weight codes times the largest code of the image, plus
    the bias in units of the sum; the largest of all channels and sites.
    """
    bounds: dict[str, float] = {}
    for site in network.convolutions:
        kernel, bias, _ = site.in_file()
        sums = site.reach * np.abs(kernel).sum(axis=(0, 1, 2)) + np.abs(bias)
        name = site.result.layer.name
        bounds[name] = max(bounds.get(name, 0.0), float(sums.max()))
    return bounds


def check_limits(network: SuperResolution) -> None:
    """Refuse what an int8 kernel cannot hold, and say once which sums need float64 here.

    Raises:
      InputError: a sum could pass int32, or a range is so small that no kernel takes its scale; the
        message names the convolution or the site.
    """
    for name, site in network.sites.items():
        assert site.arriving is not None  # only the image is not computed
        ratio = float(site.arriving.ratio())
        if ratio >= COARSEST:
            raise InputError(
                f"the range of {name} is dead: its scale is {ratio:.3g} times finer than what "
                f"arrives there, and kernels allow {COARSEST}; calibrate or train the student again"
            )
    bounds = largest_sums(network)
    for name, bound in bounds.items():
        if bound > INT32_MAX:
            raise InputError(
                f"the sums of the convolution {name} could reach {bound:.3g}, beyond int32: its "
                "bias is too large for the scales of its image and kernel; train it further, or "
                "widen the range in front of it"
            )
    wide = [name for name, bound in bounds.items() if bound >= EXACT]
    if wide:
        warnings.warn(
            f"sums of {', '.join(wide)} could pass 2^24: the student computes them in float64, "
            "which is slower",
            stacklevel=3,
        )
