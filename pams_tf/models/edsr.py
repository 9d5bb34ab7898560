"""EDSR (Lim et al., CVPRW 2017), with sites for the quantizers of PAMS."""

import dataclasses
from typing import Any

from pams_tf.models.blocks import RGB_MEAN
from pams_tf.models.sites import Sites
from pams_tf.models.upsampling import direct_upsampler, upsampler, upsampler_radius


@dataclasses.dataclass(frozen=True)
class EDSRConfig:
    """Size of an EDSR network.

    Attributes:
      blocks: number of residual blocks in the body.
      features: number of channels throughout the body.
      res_scale: factor on each residual before it is added.
      batch_norm: batch normalization after both convolutions of each block (paper, Table 4).
      direct: upscale with a single convolution to s*s*3 channels and depth-to-space, called
        "pixelshuffledirect" in SwinIR; then no convolution runs at the upscaled size.
    """

    blocks: int = 16
    features: int = 64
    res_scale: float = 1.0
    batch_norm: bool = False
    direct: bool = False

    def radius(self, scale: int) -> int:
        """LR pixels on each side that the result depends on: one per 3x3 convolution."""
        upsampling = 1 if self.direct else upsampler_radius(scale)
        return 1 + 2 * self.blocks + 1 + upsampling


def edsr(image: Any, config: EDSRConfig, scale: int, sites: Sites) -> tuple[Any, Any]:
    """Image (N, H, W, 3) in [0, 255] -> (image (N, s*H, s*W, 3), feature (N, H, W, C)).

    The feature is the one that SKT compares: body plus head. The shortcut and the first convolution
    of a block read the same quantized tensor, so that an integer network can hold it.
    """
    x = sites.shifted_image(image, [-mean for mean in RGB_MEAN], "image")
    head = sites.convolution(x, config.features, 3, "head", body=False)
    # Two ranges for one tensor: trimming its peaks suits the blocks, but costs 0.03 dB in the long
    # shortcut.
    x = sites.activation(head, "block_0_input")
    head = sites.activation(head, "head_output", body=False)
    for i in range(config.blocks):
        y = sites.convolution(
            x, config.features, 3, f"block_{i}_conv_0", batch_norm=config.batch_norm, relu=True
        )
        y = sites.activation(y, f"block_{i}_relu", after_relu=True)
        y = sites.convolution(
            y,
            config.features,
            3,
            f"block_{i}_conv_1",
            batch_norm=config.batch_norm,
            gain=config.res_scale,
        )
        y = sites.activation(y, f"block_{i}_residual")
        x = sites.add([x, y], f"block_{i}_add")
        last = i == config.blocks - 1
        # The convolution after the last block is float in the paper (Table 3 counts it as float).
        x = sites.activation(x, "body_input" if last else f"block_{i + 1}_input", body=not last)
    x = sites.convolution(x, config.features, 3, "body", body=False)
    x = sites.activation(x, "body_output", body=False)
    feature = sites.add([x, head], "body_add")
    x = sites.activation(feature, "feature", body=False)
    if config.direct:
        return direct_upsampler(x, sites, scale, shift=RGB_MEAN), feature
    return upsampler(x, sites, scale, config.features, shift=RGB_MEAN), feature
