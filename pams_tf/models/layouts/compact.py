"""SRVGGNetCompact: Real-ESRGAN's general-x4v3 and animevideov3, OpenModelDB's "Compact" models.

body.0, body.2, ... are convolutions, the modules between them activations; the input, enlarged by
nearest neighbour, is added. Source: xinntao/Real-ESRGAN, realesrgan/archs/srvgg_arch.py.
"""

import re
from collections.abc import Iterator

from pams_tf.models.layouts.chain import Chain
from pams_tf.models.layouts.layout import Fit, Layout, Mismatch, Tensors
from pams_tf.models.layouts.sequential import convolutions


def _compact(layout: str, activation: str) -> Layout:
    def read(tensors: Tensors) -> Iterator[Fit]:
        found = convolutions(tensors, "body", activation)
        if len(found) < 2:
            raise Mismatch("body.2.weight is missing")
        for place, convolution in enumerate(found[:-1]):
            if activation == "prelu" and not convolution.slopes:
                raise Mismatch(f"body.{2 * place + 1}.weight, the slopes of a PReLU, is missing")
            if activation != "prelu" and convolution.slopes:
                raise Mismatch(f"{convolution.slopes}.weight is the slopes of a PReLU")
        if [convolution.name for convolution in found] != [
            f"body.{2 * i}" for i in range(len(found))
        ]:
            raise Mismatch("convolutions and activations do not alternate")
        yield Chain(layout, "SRVGGNetCompact", found, base="nearest").fit(tensors)

    return Layout(layout, re.compile(r"body\.\d{1,4}\.(weight|bias)"), read)


LAYOUTS = (
    _compact("compact", "prelu"),
    _compact("compact_relu", "relu"),
    _compact("compact_leaky_relu", "leaky_relu"),
)
