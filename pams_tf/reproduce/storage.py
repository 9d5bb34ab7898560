"""Table 3: storage computed from the networks, and the sizes of integer files."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pams_tf import models
from pams_tf.data import datasets
from pams_tf.export.converter import convert
from pams_tf.export.variants import convert_float
from pams_tf.files import atomic_write
from pams_tf.quantization import QuantConv2D
from pams_tf.recipe import QuantizationRecipe
from pams_tf.reproduce import paper
from pams_tf.reproduce.networks import Catalogue
from pams_tf.reproduce.tables import Cell, Section, Table

PRESETS = {"EDSR": "edsr_baseline", "RDN": "rdn"}
SCALE = 4
_FILES = {
    "float32": (32, "int8"),
    "8 bits": (8, "int8"),
    "4 bits": (4, "int8"),
    "4 bits, weights in int4": (4, "int4"),
}


def stored_words(preset: str, scale: int, bits: int) -> float:
    """Storage of a network of scope "body" in 32-bit words, counted as in Table 3.

    Each weight and bias of the quantized convolutions takes `bits` bits, all others take 32.
    """
    student = models.build(preset, scale, QuantizationRecipe(bits=bits))
    quantized = [layer for layer in student.layers if isinstance(layer, QuantConv2D)]
    small = sum(layer.count_params() for layer in quantized)
    return models.build(preset, scale).count_params() - small * (1 - bits / 32)


def table_3(catalogue: Catalogue, say: Callable[[str], None] = lambda line: None) -> Table:
    """Table 3, which is exact without any training. Files that exist are not converted again.

    Raises:
      InputError: a file cannot be written.
    """
    words: dict[str, dict[int, float]] = {}
    for family, preset in PRESETS.items():
        say(f"counting the weights of {preset} x{SCALE}")
        words[family] = {32: float(models.build(preset, SCALE).count_params())}
        words[family] |= {bits: stored_words(preset, SCALE, bits) for bits in paper.BITS}
    storage = [
        Cell(
            (family,),
            "float" if bits == 32 else f"{bits} bits",
            (paper.TABLE_3[family][bits],),
            value=(count / 1e6,),
        )
        for family, counts in words.items()
        for bits, count in counts.items()
    ]
    saved = []
    for family, counts in words.items():
        for bits in paper.BITS:
            known = paper.TABLE_3_SAVED.get(family, {}).get(bits)
            cell_paper = (known,) if known is not None else None
            value = (100 * (1 - counts[bits] / counts[32]),)
            saved.append(Cell((family,), f"{bits} bits", cell_paper, value=value))
    files = []
    for family, (preset, overrides) in catalogue.budget.files.items():
        for column, (bits, weights) in _FILES.items():
            size = _file(catalogue, preset, overrides, bits, weights, say).stat().st_size
            files.append(Cell((family,), column, None, value=(size / 1e6,)))
    height, width = catalogue.budget.input_size
    return Table(
        3,
        "Storage, x4",
        (
            Section("Millions of 32-bit words", ("network",), ("words",), (3,), tuple(storage)),
            Section("Saved (%)", ("network",), ("saved",), (1,), tuple(saved)),
            Section(
                "Bytes of our TFLite files (millions)",
                ("network",),
                ("bytes",),
                (3,),
                tuple(files),
            ),
        ),
        (
            "The paper's storage counts the quantized body at 8 or 4 bits and head and tail in "
            "float. Our integer files store every kernel in 8 bits, or in 4 bits in the int4 "
            "column, and biases in 32; 4-bit codes in int8 files take a byte each.",
            f"Files take images of {height}x{width}. They were converted untrained, with "
            "calibrated ranges: training changes the values in a file, but not their number.",
            "Files are of "
            + "; ".join(
                f"{preset}{''.join(f', {key} {value}' for key, value in overrides.items())}"
                for preset, overrides in catalogue.budget.files.values()
            )
            + ".",
        ),
    )


def _file(
    catalogue: Catalogue,
    preset: str,
    overrides: dict[str, Any],
    bits: int,
    weights: str,
    say: Callable[[str], None],
) -> Path:
    size = catalogue.budget.input_size
    digest = hashlib.sha256(json.dumps([overrides, size], sort_keys=True).encode()).hexdigest()[:8]
    kind = "float32" if bits == 32 else f"{bits}bits_{weights}"
    path = catalogue.runs / "files" / f"{preset}_x{SCALE}_{kind}_{digest}.tflite"
    if path.is_file():
        return path
    say(f"converting {path.name}")
    network = models.build(preset, SCALE, **overrides)
    if bits == 32:
        content = convert_float(network, size)
    else:
        images = _images()
        student = models.quantize(network, QuantizationRecipe(bits=bits), images)
        content = convert(student, size, images, weights=weights)
    with atomic_write(path) as file:
        file.write(content)
    return path


def _images() -> np.ndarray:
    """(N, 48, 48, 3) float32 in [0, 255]: the centres of the built-in photographs."""
    pairs = datasets.sample(SCALE, "train")
    patches = []
    for index in range(len(pairs)):
        lr, _ = pairs.load(index)
        top, left = ((length - 48) // 2 for length in lr.shape[:2])
        patches.append(lr[top : top + 48, left : left + 48])
    return np.stack(patches).astype(np.float32)
