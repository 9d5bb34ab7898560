"""A plain chain of convolutions and ReLUs: what phones run fastest.

The image itself is added to each of the s*s pixels that its own pixel becomes (Du et al., "Anchor-
based Plain Net for Mobile Image Super-Resolution", CVPRW 2021), so the convolutions learn the rest.
"""

import dataclasses
from typing import Any

from pams_tf.models.sites import Sites


@dataclasses.dataclass(frozen=True)
class PlainConfig:
    """Size of a plain network.

    Attributes:
      convolutions: number of convolutions between the first and the last one.
      features: number of channels between them.
      expansion: hidden channels of the branch that each convolution has beside it in training, see
        `models.merging`; 0 for none. `models.merged` removes the branches.
    """

    convolutions: int = 5
    features: int = 28
    expansion: int = 0

    def radius(self, scale: int) -> int:
        """LR pixels on each side that the result depends on: one per 3x3 convolution."""
        return self.convolutions + 2


def plain(image: Any, config: PlainConfig, scale: int, sites: Sites) -> tuple[Any, Any]:
    """Image (N, H, W, 3) in [0, 255] -> (image (N, s*H, s*W, 3), feature (N, H, W, C)).

    The feature is what the last convolution reads.
    """
    x = image
    for i in range(config.convolutions + 1):
        x = sites.convolution(
            x,
            config.features,
            3,
            f"conv_{i}",
            relu=True,
            body=i > 0,
            expansion=config.expansion,
        )
        last = i == config.convolutions
        x = sites.activation(x, f"conv_{i}_output", after_relu=True, body=not last)
    feature = x
    x = sites.convolution(
        x,
        3 * scale**2,
        3,
        "tail_residual",
        body=False,
        expansion=config.expansion,
        dtype="float32",
    )
    x = sites.activation(x, "residual", body=False)
    anchor = sites.moved(image, "anchor", movement="repeat", settings={"times": scale**2})
    x = sites.add([x, anchor], "anchored")
    return sites.depth_to_space(sites.image(x), scale, "shuffle"), feature
