"""RDN (Zhang et al., CVPR 2018), with sites for the quantizers of PAMS."""

import dataclasses
from typing import Any

from pams_tf.models.sites import Sites
from pams_tf.models.upsampling import upsampler, upsampler_radius


@dataclasses.dataclass(frozen=True)
class RDNConfig:
    """Size of an RDN network, with the symbols of the RDN paper.

    Attributes:
      blocks: number of residual dense blocks, D.
      layers: number of convolutions per block, C.
      growth: number of channels that each of them adds, G.
      features: number of channels between the blocks, G0.
    """

    blocks: int = 16
    layers: int = 8
    growth: int = 64
    features: int = 64

    def radius(self, scale: int) -> int:
        """LR pixels on each side that the result depends on: one per 3x3 convolution."""
        return 2 + self.blocks * self.layers + 1 + upsampler_radius(scale)


def rdn(image: Any, config: RDNConfig, scale: int, sites: Sites) -> tuple[Any, Any]:
    """Image (N, H, W, 3) in [0, 255] -> (image (N, s*H, s*W, 3), feature (N, H, W, C)).

    The feature is the one that SKT compares: global fusion plus the first shallow convolution.
    """
    shallow = sites.convolution(image, config.features, 3, "shallow_0", body=False)
    shallow = sites.activation(shallow, "shallow_0_output", body=False)
    x = sites.convolution(shallow, config.features, 3, "shallow_1", body=False)
    outputs: list[Any] = []  # one per block
    for i in range(config.blocks):
        entrance = sites.activation(x, f"block_{i}_input")
        if i > 0:
            outputs.append(sites.kept(x, entrance))
        x = dense = entrance
        for j in range(config.layers):
            if j > 0:
                dense = sites.activation(dense, f"block_{i}_dense_{j}_input")
            y = sites.convolution(dense, config.growth, 3, f"block_{i}_dense_{j}", relu=True)
            dense = sites.concatenate([dense, y], f"block_{i}_dense_{j}_concat")
        dense = sites.activation(dense, f"block_{i}_fusion_input")
        y = sites.convolution(dense, config.features, 1, f"block_{i}_fusion")
        y = sites.activation(y, f"block_{i}_residual", body=False)
        x = sites.add([x, y], f"block_{i}_add")
    outputs.append(x)
    x = sites.concatenate(outputs, "global_concat") if len(outputs) > 1 else outputs[0]
    x = sites.activation(x, "global_fusion_input")
    x = sites.convolution(x, config.features, 1, "global_fusion_0")
    x = sites.activation(x, "global_fusion_0_output", body=False)
    x = sites.convolution(x, config.features, 3, "global_fusion_1")
    x = sites.activation(x, "global_fusion_1_output", body=False)
    feature = sites.add([x, shallow], "global_add")
    x = sites.activation(feature, "feature", body=False)
    return upsampler(x, sites, scale, config.features), feature
