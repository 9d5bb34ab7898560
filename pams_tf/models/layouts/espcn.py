"""ESPCN (Shi et al., CVPR 2016) in the layouts of its PyTorch implementations.

conv1, conv2, ...: pytorch/examples and leftthomas/ESPCN (four, ReLU), ECNUSR/ETDS (three, tanh,
sigmoid at the end). first_part, last_part: yjn870/ESPCN-pytorch. feature_maps, sub_pixel:
Lornatang/ESPCN-PyTorch. The last two have tanh.
"""

import re
from collections.abc import Iterator

from pams_tf.models.layouts.chain import Chain, Convolution
from pams_tf.models.layouts.layout import Fit, Layout, Mismatch, Tensors

_NUMBERED = ("conv1", "conv2", "conv3")
_PARTS = ("first_part.0", "first_part.2", "last_part.0")
_MAPS = ("feature_maps.0", "feature_maps.2", "sub_pixel.0")


def _espcn(
    layout: str, activation: str, *namings: tuple[str, ...], sigmoid: bool = False
) -> Layout:
    def read(tensors: Tensors) -> Iterator[Fit]:
        # Of namings that share a name, the one whose modules are all there.
        present = {name.rpartition(".")[0] for name in tensors}
        naming = next((names for names in namings if present == set(names)), None)
        if naming is None:
            wanted = " or ".join(", ".join(names) for names in namings)
            raise Mismatch(f"its convolutions are {wanted}")
        *before, last = naming
        found = (*(Convolution(name, activation) for name in before), Convolution(last))
        yield Chain(layout, "ESPCN", found, sigmoid=sigmoid).fit(tensors)

    modules = "|".join(re.escape(name) for names in namings for name in names)
    return Layout(layout, re.compile(rf"({modules})\.(weight|bias)"), read)


LAYOUTS = (
    _espcn("espcn", "tanh", _NUMBERED, _PARTS, _MAPS),
    _espcn("espcn_sigmoid", "tanh", _NUMBERED, sigmoid=True),
    _espcn("espcn_relu", "relu", (*_NUMBERED, "conv4")),
)
