"""EDSR and RDN: the layouts in which others save the two networks that have a builder here.

edsr, rdn: the released code and PAMS' own students. edsr_basicsr: XPixelGroup/BasicSR. rdn_yjn870:
yjn870/RDN-pytorch and OpenMMLab's mmagic, whose images are in [0, 1].
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from pams_tf import models
from pams_tf.errors import InputError
from pams_tf.models.edsr import EDSRConfig
from pams_tf.models.layouts.layout import Fit, Layout, Mismatch, Options, Tensors, shape
from pams_tf.models.rdn import RDNConfig
from pams_tf.models.registry import architecture
from pams_tf.models.torch_weights import load_released

_EDSR = ("edsr_baseline", "edsr", "edsr_mobile")
_RDN = ("rdn", "rdn_a", "rdn_small")


def to_released(tensors: Tensors) -> Tensors:
    """The tensors under the names of the released code, whichever of the layouts they have."""
    if "conv_after_body.weight" in tensors:
        return _from_basicsr(tensors)
    if "sfe1.weight" in tensors:
        return _from_yjn870(tensors)
    return tensors


def _edsr(layout: str) -> Callable[[Tensors], Iterator[Fit]]:
    def read(tensors: Tensors) -> Iterator[Fit]:
        named = to_released(tensors)
        features = _image_convolution(named, "head.0.weight")
        blocks = _count(named, "body", r"body\.(\d{1,4})\..+\.weight")
        scale = _scale(named, "tail.0.0.weight", "tail.0.2.weight", features)
        batch_norm = any(name.endswith(".running_mean") for name in named)
        config = EDSRConfig(blocks=blocks, features=features, batch_norm=batch_norm)
        yield _network(layout, "EDSR", _EDSR, config, scale, named)

    return read


def _rdn(layout: str) -> Callable[[Tensors], Iterator[Fit]]:
    def read(tensors: Tensors) -> Iterator[Fit]:
        named = to_released(tensors)
        features = _image_convolution(named, "SFENet1.weight")
        config = RDNConfig(
            blocks=_count(named, "RDBs", r"RDBs\.(\d{1,4})\..+"),
            layers=_count(named, "RDBs.0.convs", r"RDBs\.0\.convs\.(\d{1,4})\..+"),
            growth=_kernel(named, "RDBs.0.convs.0.conv.0.weight")[0],
            features=features,
        )
        scale = _scale(named, "UPNet.0.weight", "UPNet.4.weight", features)
        yield _network(layout, "RDN", _RDN, config, scale, named)

    return read


def _network(
    layout: str, title: str, presets: tuple[str, ...], config: Any, scale: int, named: Tensors
) -> Fit:
    """The preset of this size, or the first one with its size overridden."""
    sizes = {
        name: getattr(config, name)
        for name in ("blocks", "features", "layers", "growth", "batch_norm")
        if hasattr(config, name)
    }

    def differing(preset: str) -> dict[str, Any]:
        usual = architecture(preset, scale, {}).config
        return {name: size for name, size in sizes.items() if getattr(usual, name) != size}

    preset = next((name for name in presets if not differing(name)), presets[0])
    student = any(name.endswith(".alpha") for name in named)

    def build(options: Options) -> models.SuperResolution:
        if options.image_range == 1:
            raise InputError(f"{title} takes images in [0, 255]; image_range=1 is not possible")
        if student and options.recipe is None:
            raise InputError(
                f"the weights of a PAMS student of {title} do not say its bit width; "
                "give it (--bits)"
            )
        network = models.build(
            preset, scale, options.recipe, **{**differing(preset), **options.overrides}
        )
        load_released(network, named)
        return network

    size = ", ".join(f"{name} {value}" for name, value in sizes.items() if name != "batch_norm")
    normed = ", batch normalization" * bool(sizes.get("batch_norm"))
    described = f"{title} x{scale} ({preset}), {size}{normed}{', PAMS student' * student}"
    return Fit(layout, described, scale, build)


def _image_convolution(tensors: Tensors, name: str) -> int:
    """The number of features that the first convolution makes of an RGB image."""
    features, colours = _kernel(tensors, name)
    if colours != 3:
        raise Mismatch(f"{name} reads {colours} channels, not 3 (RGB)")
    return features


def _kernel(tensors: Tensors, name: str) -> tuple[int, int]:
    size = shape(tensors, name)
    if len(size) != 4 or 0 in size:
        raise Mismatch(f"{name} {list(size)} is no kernel")
    return size[0], size[1]


def _count(tensors: Tensors, part: str, pattern: str) -> int:
    """How many parts there are; they are numbered from 0 at the pattern's group."""
    found = [match for name in tensors if (match := re.fullmatch(pattern, name))]
    numbers = {int(match[1]) for match in found}
    count = max(numbers, default=0) + 1
    if (lacking := next((i for i in range(count) if i not in numbers), None)) is not None:
        raise Mismatch(f"{part}.{lacking} is missing")
    return count


def _scale(tensors: Tensors, first: str, second: str, features: int) -> int:
    """By the outputs of the first sub-pixel convolution, and whether there is a second one."""
    outputs, _ = _kernel(tensors, first)
    if outputs == 9 * features:
        return 3
    if outputs == 4 * features:
        return 4 if second in tensors else 2
    raise Mismatch(f"{first} yields {outputs} channels, not 4 or 9 times {features}")


def _from_basicsr(tensors: Tensors) -> Tensors:
    blocks = len({name.split(".")[1] for name in tensors if name.startswith("body.")})
    fixed = {"conv_first": "head.0", "conv_after_body": f"body.{blocks}", "conv_last": "tail.1"}
    renamed = {}
    for name, array in tensors.items():
        module, _, kind = name.rpartition(".")
        module = fixed.get(module, module)
        module = re.sub(r"^body\.(\d{1,4})\.conv1$", r"body.\1.body.0", module)
        module = re.sub(r"^body\.(\d{1,4})\.conv2$", r"body.\1.body.2", module)
        module = re.sub(r"^upsample\.(\d{1,4})$", r"tail.0.\1", module)
        renamed[f"{module}.{kind}"] = array
    return renamed


def _from_yjn870(tensors: Tensors) -> Tensors:
    """Names, and biases times 255: then f(255 x) = 255 f(x), as all activations are ReLU."""
    last = 4 if "upscale.2.weight" in tensors else 2
    renamed = {}
    for name, array in tensors.items():
        module, _, kind = name.rpartition(".")
        module = re.sub(r"^sfe([12])$", r"SFENet\1", module)
        module = re.sub(
            r"^rdbs\.(\d{1,4})\.layers\.(\d{1,4})\.conv$", r"RDBs.\1.convs.\2.conv.0", module
        )
        module = re.sub(r"^rdbs\.(\d{1,4})\.lff$", r"RDBs.\1.LFF", module)
        module = re.sub(r"^gff\.(\d)$", r"GFF.\1", module)
        module = re.sub(r"^upscale\.(\d{1,4})$", r"UPNet.\1", module)
        module = re.sub(r"^output$", f"UPNet.{last}", module)
        renamed[f"{module}.{kind}"] = 255 * array if kind == "bias" else array
    return renamed


_VECTORS = r"(weight|bias|running_mean|running_var|alpha)"
LAYOUTS = (
    Layout(
        "edsr",
        re.compile(
            r"(sub_mean|add_mean|head\.0|tail\.1|tail\.0\.\d|body\.\d{1,4})\.(weight|bias)"
            rf"|body\.\d{{1,4}}\.(body\.\d|quant_act\d)\.{_VECTORS}"
        ),
        _edsr("edsr"),
    ),
    Layout(
        "edsr_basicsr",
        re.compile(
            r"(conv_first|conv_after_body|conv_last|upsample\.\d|body\.\d{1,4}\.conv[12])"
            r"\.(weight|bias)"
        ),
        _edsr("edsr_basicsr"),
    ),
    Layout(
        "rdn",
        re.compile(rf"(SFENet[12]|act|GFF\.\d|UPNet\.\d|RDBs\.\d{{1,4}}\..+)\.{_VECTORS}"),
        _rdn("rdn"),
    ),
    Layout(
        "rdn_yjn870",
        re.compile(
            r"(sfe[12]|output|gff\.\d|upscale\.\d|rdbs\.\d{1,4}\.(lff|layers\.\d{1,4}\.conv))"
            r"\.(weight|bias)"
        ),
        _rdn("rdn_yjn870"),
    ),
)
