"""Convolutions that are trained in another form than they are kept: `merged` brings them back.

A convolution may have a second branch while it is trained, and the first one its image centred, see
`models.centring`.

A sum of linear branches is one convolution, but it is easier to train (Ding et al., "RepVGG", CVPR
2021; Bhardwaj et al., "Collapsible Linear Blocks for Super-Efficient Super Resolution", MLSys
2022).
The branches are merged in every step, before the image is convolved, so that a step costs no more
than that of a single kernel.
"""

import numpy as np

from pams_tf.models.centring import CentredConv2D
from pams_tf.models.network import SuperResolution
from pams_tf.quantization import ExpandedConv2D


def merged(network: SuperResolution) -> SuperResolution:
    """The same function of plain convolutions; a network of no others is returned as it is.

    Example:
      >>> from pams_tf import models
      >>> network = models.build("plain_small", 2, convolutions=2, features=4, expansion=16)
      >>> network.count_params() > models.merged(network).count_params()
      True

    Args:
      network: a float network; not changed.

    Returns:
      A network of plain convolutions, which can be quantized.

    Source: Bhardwaj et al., "Collapsible Linear Blocks for Super-Efficient Super Resolution", MLSys
    2022.
    """
    if not any(isinstance(layer, ExpandedConv2D | CentredConv2D) for layer in network.layers):
        return network
    overrides = {key: value for key, value in network.overrides.items() if key != "expansion"}
    plain = SuperResolution(network.preset, network.scale, None, overrides)
    for layer in network.layers:
        weights = layer.get_weights()
        if isinstance(layer, ExpandedConv2D):
            weights = [np.asarray(layer.merged_kernel()), np.asarray(layer.bias)]
        elif isinstance(layer, CentredConv2D):
            weights = [np.asarray(layer.kernel), np.asarray(layer.merged_bias())]
        if weights:
            plain.get_layer(layer.name).set_weights(weights)
    return plain
