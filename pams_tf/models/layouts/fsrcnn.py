"""FSRCNN (Dong et al., ECCV 2016) in the layouts of its PyTorch implementations.

first_part, mid_part, last_part: yjn870/FSRCNN-pytorch and ECNUSR/ETDS. feature_extraction, shrink,
map, expand, deconv: Lornatang/FSRCNN-PyTorch. The stride of the transposed convolution, which is
the scale, shows in no shape, so each weight file fits every scale.
"""

import re
from collections.abc import Iterator

from pams_tf.data.datasets import SCALES
from pams_tf.models.layouts.chain import Chain, Convolution
from pams_tf.models.layouts.layout import Fit, Layout, Mismatch, Tensors
from pams_tf.models.layouts.sequential import NUMBERED, convolutions

_NAMINGS = (
    (("first_part", "mid_part"), "last_part"),
    (("feature_extraction", "shrink", "map", "expand"), "deconv"),
)


def _read(tensors: Tensors) -> Iterator[Fit]:
    parts, last = next((n for n in _NAMINGS if f"{n[1]}.weight" in tensors), _NAMINGS[0])
    found = [c for part in parts for c in convolutions(tensors, part, "linear")]
    for convolution in found:
        if not convolution.slopes:
            raise Mismatch(f"the slopes of a PReLU are missing behind {convolution.name}")
    for scale in SCALES:
        chain = (*found, Convolution(last))
        yield Chain("fsrcnn", "FSRCNN", chain, stride=scale).fit(tensors)


_PARTS = "|".join(part for parts, _ in _NAMINGS for part in parts)
_LAST = "|".join(last for _, last in _NAMINGS)
LAYOUTS = (
    Layout("fsrcnn", re.compile(rf"({_PARTS})\.{NUMBERED}|({_LAST})\.(weight|bias)"), _read),
)
