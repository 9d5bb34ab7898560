"""Steep slopes of a PReLU turned over: a file has one scale for all slopes of a layer."""

import numpy as np

from pams_tf.models.chains import Chain, multiply_inputs, multiply_results
from pams_tf.models.network import SuperResolution


def turn_steep_slopes(network: SuperResolution, chain: Chain) -> None:
    """Give the PReLU of a chain slopes from -1 to 1, without changing what the network computes.

    A channel with a slope a beyond 1 is turned over: PReLU_a(x) = -a * PReLU_(1/a)(-x). The
    convolution in front yields -x, and the kernels behind are multiplied by -a. All other slopes
    then have a finer grid; FSRCNN, for example, has a slope of 3.5 among 56.

    Args:
      network: a float network, changed in place.
      chain: one of its chains; without a PReLU that can be turned, nothing happens.
    """
    if chain.turnable is None:
        return
    layer = network.get_layer(chain.turnable)
    slopes = layer.alpha.numpy()
    steep = np.abs(slopes) > 1
    divisors = np.where(steep, slopes, 1.0)
    layer.alpha.assign(np.where(steep, 1.0, slopes) / divisors)
    multiply_results(network, chain.convolution, np.where(steep, -1.0, 1.0).ravel())
    for reader in chain.readers:
        multiply_inputs(network, reader, np.where(steep, -divisors, 1.0).ravel())
