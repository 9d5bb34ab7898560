"""The tail of EDSR and RDN: sub-pixel convolutions and the last convolution."""

from collections.abc import Sequence
from typing import Any

from pams_tf.models.sites import Sites

STEPS = {2: (2,), 3: (3,), 4: (2, 2)}


def upsampler(
    x: Any, sites: Sites, scale: int, features: int, shift: Sequence[float] | None = None
) -> Any:
    """Features (N, H, W, C) -> image (N, s*H, s*W, 3), by convolution and depth-to-space.

    x4 is done in two steps of x2, as in the released networks.
    """
    for i, step in enumerate(STEPS[scale]):
        x = sites.convolution(x, features * step**2, 3, f"upsample_{i}", body=False)
        x = sites.activation(x, f"upsample_{i}_output", body=False)
        x = sites.depth_to_space(x, step, f"upsample_{i}_shuffle")
    # Float32 under every policy: bfloat16 would round the image to 8 significant bits.
    return sites.convolution(x, 3, 3, "tail", body=False, shift=shift, dtype="float32")


def direct_upsampler(x: Any, sites: Sites, scale: int, shift: Sequence[float]) -> Any:
    """Features (N, H, W, C) -> image (N, s*H, s*W, 3), by one convolution before depth-to-space."""
    shift = list(shift) * scale**2
    x = sites.convolution(x, 3 * scale**2, 3, "tail", body=False, shift=shift, dtype="float32")
    return sites.depth_to_space(sites.image(x), scale, "tail_shuffle")


def upsampler_radius(scale: int) -> int:
    """LR pixels of the upsampler's input on each side that an upscaled LR pixel depends on."""
    radius = 1  # the last convolution, in output pixels
    for step in reversed(STEPS[scale]):
        radius = -(-radius // step) + 1  # a fraction of a pixel before the shuffle counts as one
    return radius
