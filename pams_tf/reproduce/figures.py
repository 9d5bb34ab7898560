"""Figures 2 to 5: the networks that each needs, and how it is drawn."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pams_tf import models
from pams_tf.data.calibration import packed_images
from pams_tf.data.patches import training_batch
from pams_tf.errors import InputError
from pams_tf.evaluation.crops import busiest_crops
from pams_tf.quantization.functional import sample_maxima
from pams_tf.reporting.plots.comparison import comparison
from pams_tf.reporting.plots.ranges import activation_ranges, alpha_curves
from pams_tf.reproduce import paper
from pams_tf.reproduce.budgets import BUILT_IN
from pams_tf.reproduce.measure import Measurements, upscaler
from pams_tf.reproduce.networks import Catalogue, Job, Network, network_file
from pams_tf.training.logs import read_csv

# The images with the most fine detail first.
_PREFERRED_SETS = ("Urban100", "B100", "Set14", "Set5", BUILT_IN)
_SCALE = 4
_SAMPLES_A_BATCH = 4

Labelled = list[tuple[str, Network | None]]


@dataclasses.dataclass(frozen=True)
class Drawing:
    """The inputs for drawing a figure, and the folder of its files."""

    catalogue: Catalogue
    measurements: Measurements
    folder: Path


@dataclasses.dataclass(frozen=True)
class PaperFigure:
    """One figure of the paper.

    Attributes:
      title: title of its page.
      networks: the networks that it needs, by label; None for one that is not in the budget.
      draw: writes the PNG files and returns them with notes on them.
      measured: whether it shows the PSNR of the networks on a set; see `picture_set`.
    """

    title: str
    networks: Callable[[Catalogue], Labelled]
    draw: Callable[[Drawing], tuple[list[Path], list[str]]]
    measured: bool = False


def picture_set(measurements: Measurements) -> str:
    """The set from which Figures 3 and 4 take their image."""
    return next(name for name in _PREFERRED_SETS if name in measurements.benchmarks.names)


def _networks_2(catalogue: Catalogue) -> Labelled:
    return [
        ("with batch normalization", catalogue.ablated_float(True)),
        ("without batch normalization", catalogue.ablated_float(False)),
    ]


def _draw_2(drawing: Drawing) -> tuple[list[Path], list[str]]:
    catalogue = drawing.catalogue
    maxima = {
        label: activation_maxima(
            models.load(network_file(network)), catalogue.data, catalogue.budget.samples
        )
        for label, network in _networks_2(catalogue)
        if network is not None
    }
    path = drawing.folder / "figure_2.png"
    activation_ranges(path, maxima)
    preset, overrides = catalogue.budget.batch_norm
    network = " ".join([preset, "x4", *([str(overrides)] if overrides else [])])
    return [path], [
        f"Layers are the tensors that PAMS quantizes in {network}, in order: "
        "input, ReLU and residual of each block. A sample is an LR patch of 48x48.",
        *(
            f"{label}: within a layer, the largest sample maximum is {spread:.1f} times the "
            "smallest, median over the layers"
            for label, values in maxima.items()
            for spread in [float(np.median(values.max(axis=0) / values.min(axis=0)))]
        ),
    ]


def activation_maxima(network: models.SuperResolution, data: str | None, count: int) -> np.ndarray:
    """max|x| of each sample in the tensors of the blocks: (count, layers).

    Args:
      network: a float network.
      data: folder of images from which patches are drawn; None for the built-in photographs.
      count: number of samples.
    """
    names = [name for name in network.arriving if name.startswith("block_")]
    probe = keras.Model(network.inputs[0], [network.arriving[name] for name in names])
    packed = packed_images(data, network.scale, 48)
    rows: list[np.ndarray] = []
    for step in range(-(-count // _SAMPLES_A_BATCH)):
        lr, _ = training_batch(
            packed, seed=1, step=step, batch_size=_SAMPLES_A_BATCH, patch_size=48
        )
        tensors = probe(lr, training=False)
        rows.append(np.stack([np.asarray(sample_maxima(tensor)) for tensor in tensors], axis=1))
    return np.concatenate(rows)[:count]


def _networks_3(catalogue: Catalogue) -> Labelled:
    return [
        ("bicubic", catalogue.bicubic(_SCALE)),
        ("EDSR", catalogue.float_network("EDSR")),
        *(
            (f"{label}, 4 bits", catalogue.student("EDSR", method, 4))
            for method, label in paper.METHODS.items()
        ),
    ]


def _draw_3(drawing: Drawing) -> tuple[list[Path], list[str]]:
    return _compare(drawing, [("figure_3.png", _networks_3(drawing.catalogue))])


def _networks_4_of(catalogue: Catalogue, family: str) -> Labelled:
    return [
        ("bicubic", catalogue.bicubic(_SCALE)),
        (family, catalogue.float_network(family)),
        *(
            (f"PAMS-{family}, {bits} bits", catalogue.student(family, "pams", bits))
            for bits in paper.BITS
        ),
    ]


def _networks_4(catalogue: Catalogue) -> Labelled:
    return [
        pair for family in catalogue.budget.families for pair in _networks_4_of(catalogue, family)
    ]


def _draw_4(drawing: Drawing) -> tuple[list[Path], list[str]]:
    return _compare(
        drawing,
        [
            (f"figure_4_{family.lower()}.png", _networks_4_of(drawing.catalogue, family))
            for family in drawing.catalogue.budget.families
        ],
    )


def _networks_5(catalogue: Catalogue) -> Labelled:
    return [
        (f"{family} {bits}", catalogue.student(family, "pams", bits))
        for family in catalogue.budget.families
        for bits in paper.BITS
    ]


def _draw_5(drawing: Drawing) -> tuple[list[Path], list[str]]:
    paths, notes = [], []
    for label, job in _networks_5(drawing.catalogue):
        assert isinstance(job, Job)
        family, bits = label.split()
        rows = read_csv(job.run.alphas)
        if not rows:
            raise InputError(f"{job.run.alphas}: no alphas were logged")
        blocks = shown_blocks(list(rows[0]), paper.FIGURE_5_BLOCKS[family])
        curves = {
            name: [float(row[name]) for row in rows]
            for name in rows[0]
            if name.startswith(tuple(f"block_{block}_" for block in blocks))
        }
        path = drawing.folder / f"figure_5_{family.lower()}_{bits}.png"
        alpha_curves(path, [int(row["step"]) for row in rows], curves)
        paths.append(path)
        named = " and ".join(map(str, blocks))
        notes.append(f"{path.name}: PAMS-{family} x4, {bits} bits, blocks {named}")
    return paths, notes


def shown_blocks(names: Sequence[str], wanted: Sequence[int]) -> list[int]:
    """The wanted blocks that the network has; its middle and last block if it has none of them.

    Args:
      names: names of its quantizers, such as `block_3_relu`.
      wanted: indices of blocks.
    """
    there = sorted({int(name.split("_")[1]) for name in names if name.startswith("block_")})
    found = [block for block in wanted if block in there]
    return found or sorted({there[len(there) // 2], there[-1]})


def _compare(drawing: Drawing, files: list[tuple[str, Labelled]]) -> tuple[list[Path], list[str]]:
    """Show HR and all networks side by side on one image, with one PNG per list of networks."""
    measurements = drawing.measurements
    name = picture_set(measurements)
    pairs = measurements.benchmarks.pairs(name, _SCALE)
    paths, index = [], None
    for file, networks in files:
        there = [(label, network) for label, network in networks if network is not None]
        figures = {
            label: [image["psnr"] for image in measurements.result(network, name)["per_image"]]
            for label, network in there
        }
        if index is None:
            bicubic, float_network = (np.asarray(figures[label]) for label, _ in there[:2])
            index = int(np.argmax(float_network - bicubic))
        lr, hr = pairs.load(index)
        panels: list[Any] = [("HR", hr, "")]
        panels += [
            (label, upscaler(network)(lr), f"{figures[label][index]:.2f} dB")
            for label, network in there
        ]
        path = drawing.folder / file
        comparison(path, panels, busiest_crops(hr, size=min(hr.shape[:2]) // 6, count=2))
        paths.append(path)
    assert index is not None
    return paths, [
        f"{name}/{pairs.names[index]}, x4: the image on which the float network gains most over "
        "bicubic. PSNR on Y of this image."
    ]


FIGURES = {
    2: PaperFigure(
        "Largest activations with and without batch normalization", _networks_2, _draw_2
    ),
    3: PaperFigure("Methods at 4 bits side by side", _networks_3, _draw_3, measured=True),
    4: PaperFigure("PAMS and the float network", _networks_4, _draw_4, measured=True),
    5: PaperFigure("Alphas over the training steps", _networks_5, _draw_5),
}
