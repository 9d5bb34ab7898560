"""Loading the released PyTorch checkpoints: maps their names to our variables.

Convolutions are OIHW there and HWIO here. PixelShuffle reads channel c*r*r + i*r + j where
depth-to-space reads (i*r + j)*C + c, so the outputs of a convolution before one are permuted.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import keras
import numpy as np

from pams_tf.errors import InputError
from pams_tf.models import SuperResolution
from pams_tf.models.blocks import RGB_MEAN, DepthToSpace
from pams_tf.models.edsr import EDSRConfig
from pams_tf.models.layouts.layout import listed
from pams_tf.models.rdn import RDNConfig
from pams_tf.models.registry import architecture
from pams_tf.models.upsampling import STEPS
from pams_tf.quantization import ActivationQuantizer

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class Entry:
    """One of our variables, and the conversion from the released array to it."""

    variable: keras.Variable
    released_shape: tuple[int, ...]
    convert: Callable[[Array], Array]


def load_released(
    model: SuperResolution, weights: Mapping[str, Array], origin: str = "weights"
) -> None:
    """Load a released checkpoint into `model`: float EDSR or RDN, or a PAMS student with alphas.

    Args:
      model: a network of the checkpoint's architecture, float or with a recipe of scope "body".
      weights: the released names and their arrays (OIHW), from `layouts.files.read_weights`.
      origin: what messages call the weights: the file's name.

    Raises:
      InputError: names are missing, unknown or have another shape. All of them are reported at
        once, and the model is left unchanged.
    """
    arrays = {name: np.asarray(array) for name, array in weights.items()}
    entries = dict(released_entries(model))
    missing = [name for name in entries if name not in arrays]
    extra = [name for name in arrays if name not in entries and not _is_derived(name)]
    misshapen = [
        f"{name} {list(arrays[name].shape)} instead of {list(entry.released_shape)}"
        for name, entry in entries.items()
        if name in arrays and arrays[name].shape != entry.released_shape
    ]
    problems = [
        f"{what}: {names}"
        for what, names in (
            ("missing", ", ".join(missing)),
            ("unknown", listed(extra, 20)),  # as the file calls them
            ("misshapen", ", ".join(misshapen)),
        )
        if names
    ]
    problems += _foreign_means(arrays)
    if problems:
        raise InputError(
            f"{origin}: not the weights of {model.preset} x{model.scale} "
            f"{model.overrides or ''} - {'; '.join(problems)}"
        )
    for name, entry in entries.items():
        entry.variable.assign(entry.convert(arrays[name]))


def released_entries(model: SuperResolution) -> Iterator[tuple[str, Entry]]:
    """Every released name that `model` needs, with the variable it fills."""
    config = architecture(model.preset, model.scale, model.overrides).config
    student = model.recipe is not None
    steps = len(STEPS[model.scale])
    if isinstance(config, EDSRConfig):
        names = _edsr_names(config, steps, student)
    else:
        names = _rdn_names(config, steps)
    layers = {layer.name: layer for layer in model.layers}
    for released, ours in names.items():
        if ours not in layers:  # a quantizer, which a float network does not have
            continue
        yield from _layer_entries(released, layers[ours], layers.get(f"{ours}_shuffle"))
    known = set(names.values())
    for layer in model.layers:
        # Scope "all" has ranges that no released file holds: report them as missing.
        if isinstance(layer, ActivationQuantizer) and layer.name not in known:
            yield f"{layer.name}.alpha", _alpha_entry(layer)


def _edsr_names(config: EDSRConfig, steps: int, student: bool) -> dict[str, str]:
    names = {"head.0": "head", f"body.{config.blocks}": "body", "tail.1": "tail"}
    names |= {f"tail.0.{2 * i}": f"upsample_{i}" for i in range(steps)}
    for i in range(config.blocks):
        block = f"body.{i}"
        # conv, [BN], act, conv, [BN]; a student's act is followed by its quantizer.
        second = 2 + config.batch_norm + student
        names |= {f"{block}.body.0": f"block_{i}_conv_0"}
        names |= {f"{block}.body.{second}": f"block_{i}_conv_1"}
        if config.batch_norm:
            names |= {f"{block}.body.1": f"block_{i}_conv_0_bn"}
            names |= {f"{block}.body.{second + 1}": f"block_{i}_conv_1_bn"}
        for number, site in enumerate(("input", "relu", "residual"), start=1):
            names |= {f"{block}.quant_act{number}": f"block_{i}_{site}"}
    return names


def _rdn_names(config: RDNConfig, steps: int) -> dict[str, str]:
    names = {"SFENet1": "shallow_0", "SFENet2": "shallow_1", "act": "global_fusion_input"}
    names |= {f"UPNet.{2 * i}": f"upsample_{i}" for i in range(steps)}
    names |= {f"UPNet.{2 * steps}": "tail"}
    names |= {f"GFF.{k}": f"global_fusion_{k}" for k in (0, 1)}
    for i in range(config.blocks):
        block = f"RDBs.{i}"
        names |= {f"{block}.act1": f"block_{i}_input", f"{block}.act2": f"block_{i}_fusion_input"}
        names |= {f"{block}.LFF": f"block_{i}_fusion"}
        for j in range(config.layers):
            names |= {f"{block}.convs.{j}.conv.0": f"block_{i}_dense_{j}"}
            names |= {f"{block}.convs.{j}.act": f"block_{i}_dense_{j}_input"}
    return names


def _layer_entries(
    released: str, layer: keras.layers.Layer, shuffle: DepthToSpace | None
) -> Iterator[tuple[str, Entry]]:
    if isinstance(layer, ActivationQuantizer):
        yield f"{released}.alpha", _alpha_entry(layer)
    elif isinstance(layer, keras.layers.BatchNormalization):
        for theirs, variable in (
            ("weight", layer.gamma),
            ("bias", layer.beta),
            ("running_mean", layer.moving_mean),
            ("running_var", layer.moving_variance),
        ):
            yield f"{released}.{theirs}", Entry(variable, tuple(variable.shape), np.asarray)
    else:
        height, width, inputs, outputs = layer.kernel.shape
        order = _shuffle_order(outputs, shuffle.scale if shuffle else 1)
        yield (
            f"{released}.weight",
            Entry(
                layer.kernel,
                (outputs, inputs, height, width),
                lambda array: array[order].transpose(2, 3, 1, 0),
            ),
        )
        yield f"{released}.bias", Entry(layer.bias, (outputs,), lambda array: array[order])


def _alpha_entry(layer: ActivationQuantizer) -> Entry:
    return Entry(layer.alpha, (1,), lambda array: array.reshape(()))


def _shuffle_order(channels: int, scale: int) -> Array:
    """The released channel for each of ours: c*r*r + i*r + j at position (i*r + j)*C + c."""
    return np.arange(channels).reshape(-1, scale * scale).T.reshape(-1)


def _is_derived(name: str) -> bool:
    """Whether a released name holds nothing that must be loaded.

    These are the fixed mean shifts (checked separately), PyTorch's batch counter, the second name
    of an EDSR block's middle quantizer, and the quantizer of a dense block's first convolution,
    which the released code creates but never calls.
    """
    parts = name.split(".")
    return (
        parts[0] in ("sub_mean", "add_mean")
        or parts[-1] == "num_batches_tracked"
        or (parts[-1] == "alpha" and parts[2:3] == ["body"])
        or (parts[-1] == "alpha" and parts[2:4] == ["convs", "0"])
    )


def _foreign_means(arrays: Mapping[str, Array]) -> list[str]:
    """Problems with mean shifts that differ from ours: such a network expects other images."""
    problems = []
    for name, sign in (("sub_mean", -1.0), ("add_mean", 1.0)):
        bias = arrays.get(f"{name}.bias")
        if bias is None:
            continue
        if bias.shape != (3,) or not np.allclose(bias, sign * np.array(RGB_MEAN), atol=1e-2):
            problems.append(
                f"{name}.bias is {np.round(bias.ravel()[:4], 3).tolist()}, which is not DIV2K's "
                f"mean times 255 {np.round(sign * np.array(RGB_MEAN), 3).tolist()}"
            )
    return problems
