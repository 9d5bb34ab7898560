"""ABPN, ECBSR and ETDS as they are deployed, and the plain chain they are compared with.

Source: ECNUSR/ETDS, core/archs/ir, and xindongzhang/ECBSR, models/plainsr.py. There a last
convolution of 1x1 with ReLU means that the image travels inside the features ("ET"); otherwise the
input, repeated once per position, is added.
"""

import dataclasses
import re
from collections.abc import Iterator

from pams_tf.models.layouts.chain import Chain, Convolution
from pams_tf.models.layouts.layout import Fit, Layout, Mismatch, Tensors, shape
from pams_tf.models.layouts.sequential import NUMBERED, convolutions


def read_ecbsr(tensors: Tensors, layout: str = "ecbsr") -> Iterator[Fit]:
    """backbone.0.0 (convolution), backbone.0.1 (activation), backbone.1.0, ..."""
    renamed = {
        name.replace(".conv3x3.", ".0.").replace(".act.", ".1."): array
        for name, array in tensors.items()
    }
    found = convolutions(renamed, "backbone", "relu")
    if any(convolution.name.count(".") != 2 for convolution in found):
        raise Mismatch("its convolutions are backbone.0.0, backbone.1.0, ...")
    yield _anchored(layout, "ECBSR", found, renamed)


def read_plain(tensors: Tensors, layout: str, title: str, base: str = "") -> Iterator[Fit]:
    """conv_first, backbone_convs.0, backbone_convs.1, ..., conv_last."""
    found = (*_numbered(tensors), Convolution("conv_last"))
    yield Chain(layout, title, found, base=base).fit(tensors)


def _anchored(layout: str, title: str, found: tuple[Convolution, ...], tensors: Tensors) -> Fit:
    *before, last = found
    if shape(tensors, f"{last.name}.weight")[2:] == (1, 1):
        last = dataclasses.replace(last, activation="relu")
        return Chain(layout, f"{title}-ET", (*before, last), spare_channel=True).fit(tensors)
    return Chain(layout, title, found, base="repeated").fit(tensors)


def _abpn(tensors: Tensors) -> Iterator[Fit]:
    """backbone.0, backbone.2.0, backbone.3.0, ..., backbone.N, backbone.N+2."""
    found = convolutions(tensors, "backbone", "relu")
    if found[0].name != "backbone.0" or any(convolution.slopes for convolution in found):
        raise Mismatch("its first convolution is backbone.0, and it has ReLU alone")
    yield _anchored("abpn", "ABPN", found, tensors)


def _numbered(tensors: Tensors) -> tuple[Convolution, ...]:
    modules = {name.rpartition(".")[0] for name in tensors if name.startswith("backbone_convs.")}
    body = [f"backbone_convs.{i}" for i in range(len(modules))]
    return tuple(Convolution(name, "relu") for name in ("conv_first", *body))


def _etds(tensors: Tensors) -> Iterator[Fit]:
    ends = (Convolution("conv_last", "relu"), Convolution("conv_clip", "relu"))
    found = (*_numbered(tensors), *ends)
    yield Chain("etds", "ETDS", found, spare_channel=True).fit(tensors)


_PLAIN = r"(conv_first|backbone_convs\.\d{1,4}|conv_last)\.(weight|bias)"
_CONVOLUTION = r"backbone\.\d{1,4}\.(0|conv3x3)\.(weight|bias)"
_SLOPES = r"backbone\.\d{1,4}\.(1|act)\.weight"
LAYOUTS = (
    Layout("abpn", re.compile(rf"backbone\.{NUMBERED}"), _abpn),
    Layout("ecbsr", re.compile(rf"{_CONVOLUTION}|{_SLOPES}"), read_ecbsr),
    Layout("etds", re.compile(rf"{_PLAIN}|conv_clip\.(weight|bias)"), _etds),
    Layout("plain", re.compile(_PLAIN), lambda t: read_plain(t, "plain", "plain chain")),
    Layout(
        "plain_anchor",
        re.compile(_PLAIN),
        lambda t: read_plain(t, "plain_anchor", "plain chain", base="repeated"),
    ),
)
