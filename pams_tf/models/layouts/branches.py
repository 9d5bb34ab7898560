"""Branches that ECBSR and ETDS have in training only, merged into the convolutions they equal.

Source: rep_params in ECNUSR/ETDS, core/archs/ir/ECBSR/arch.py (as in XPixelGroup/BasicSR); for
ETDS, the equivalent transformation of Chao et al., CVPR 2023.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from pams_tf.models.layouts.layout import Fit, Layout, Mismatch, Tensors, shape
from pams_tf.models.layouts.mobile import read_ecbsr, read_plain


def _ecbsr(layout: str, identity: bool) -> Layout:
    """`identity` adds its input to each block that has as many outputs: `with_idt`."""

    def read(tensors: Tensors) -> Iterator[Fit]:
        merged: dict[str, np.ndarray] = {}
        for block in dict.fromkeys(".".join(name.split(".")[:2]) for name in tensors):
            kernel, bias = _merged_block(tensors, block)
            outputs, inputs = kernel.shape[:2]
            if identity and inputs == outputs:
                kernel[range(outputs), range(outputs), 1, 1] += 1
            merged |= {f"{block}.0.weight": kernel, f"{block}.0.bias": bias}
            if f"{block}.act.weight" in tensors:
                merged[f"{block}.1.weight"] = tensors[f"{block}.act.weight"]
        yield from read_ecbsr(merged, layout)

    names = (
        r"backbone\.\d{1,4}\.(conv3x3\.(weight|bias)|act\.weight|conv1x1_3x3\.[kb][01]"
        r"|conv1x1_(sbx|sby|lpl)\.(k0|b0|scale|bias|mask))"
    )
    return Layout(layout, re.compile(names), read)


def _merged_block(tensors: Tensors, block: str) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (O, I, 3, 3) and bias (O,) of a block: a 3x3 convolution and four sequences."""
    outputs, inputs = _channels(tensors, f"{block}.conv3x3.weight")

    def array(name: str, *expected: int) -> np.ndarray:
        return _array(tensors, f"{block}.{name}", expected)

    kernel = array("conv3x3.weight", outputs, inputs, 3, 3).copy()
    bias = array("conv3x3.bias", outputs).copy()

    def add(first: np.ndarray, first_bias: np.ndarray, second: np.ndarray) -> None:
        """1x1 (M, I, 1, 1), then 3x3 (O, M, 3, 3); in between, the border is padded with the bias.

        So the sum is exact at the border too.
        """
        nonlocal kernel, bias
        kernel += np.einsum("omhw,mi->oihw", second, first[:, :, 0, 0])
        bias += np.einsum("omhw,m->o", second, first_bias)

    branch = "conv1x1_3x3"
    middle, _ = _channels(tensors, f"{block}.{branch}.k0")
    first = array(f"{branch}.k0", middle, inputs, 1, 1)
    second = array(f"{branch}.k1", outputs, middle, 3, 3)
    add(first, array(f"{branch}.b0", middle), second)
    bias += array(f"{branch}.b1", outputs)
    for branch in ("conv1x1_sbx", "conv1x1_sby", "conv1x1_lpl"):  # a Sobel or Laplace filter each
        filters = array(f"{branch}.scale", outputs, 1, 1, 1) * array(
            f"{branch}.mask", outputs, 1, 3, 3
        )
        first = array(f"{branch}.k0", outputs, inputs, 1, 1)
        second = filters * np.eye(outputs, dtype=np.float32)[:, :, None, None]
        add(first, array(f"{branch}.b0", outputs), second)
        bias += array(f"{branch}.bias", outputs)
    return kernel, bias


def _etds(tensors: Tensors) -> Iterator[Fit]:
    """Features and residual features side by side in one chain."""
    blocks = len({name.split(".")[1] for name in tensors if name.startswith("backbone_convs.")})
    merged: dict[str, np.ndarray] = {}
    _join(tensors, merged, "conv_first", [["conv_first"], ["conv_residual_first"]])
    for i in range(blocks):
        body, rest = f"backbone_convs.{i}", f"residual_convs.{i}"
        _join(tensors, merged, body, [[body, f"add_residual_convs.{i}"], [None, rest]])
    _join(tensors, merged, "conv_last", [["conv_last", "conv_residual_last"]])
    yield from read_plain(merged, "etds_branches", "ETDS")


def _join(
    tensors: Tensors,
    merged: dict[str, np.ndarray],
    name: str,
    blocks: Sequence[Sequence[str | None]],
) -> None:
    """Make one convolution of several: a row per part of its outputs, a column per part of inputs.

    None is a block of zeros. The last row and the first column hold the sizes.
    """
    inputs = [_channels(tensors, f"{column}.weight")[1] for column in blocks[0]]
    rows, biases = [], []
    for row in blocks:
        outputs, _ = _channels(tensors, f"{row[-1]}.weight")
        kernels = [
            np.zeros((outputs, count, 3, 3), np.float32)
            if block is None
            else _array(tensors, f"{block}.weight", (outputs, count, 3, 3))
            for block, count in zip(row, inputs, strict=True)
        ]
        rows.append(np.concatenate(kernels, axis=1))
        present = [block for block in row if block is not None]
        biases.append(sum(_array(tensors, f"{block}.bias", (outputs,)) for block in present))
    merged[f"{name}.weight"] = np.concatenate(rows)
    merged[f"{name}.bias"] = np.concatenate(biases)


def _channels(tensors: Tensors, name: str) -> tuple[int, int]:
    size = shape(tensors, name)
    if len(size) != 4:
        raise Mismatch(f"{name} {list(size)} is no kernel")
    return size[0], size[1]


def _array(tensors: Tensors, name: str, expected: tuple[int, ...]) -> np.ndarray:
    if (found := shape(tensors, name)) != expected:
        raise Mismatch(f"{name} {list(found)} should be {list(expected)}")
    return tensors[name]


LAYOUTS = (
    _ecbsr("ecbsr_branches", identity=False),
    _ecbsr("ecbsr_branches_identity", identity=True),
    Layout(
        "etds_branches",
        re.compile(
            r"conv_(residual_)?(first|last)\.(weight|bias)"
            r"|(backbone|residual|add_residual)_convs\.\d{1,4}\.(weight|bias)"
        ),
        _etds,
    ),
)
