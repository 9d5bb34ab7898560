"""Plots of the share of codes that differ, layer by layer, between two computations."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.ticker import FuncFormatter

from pams_tf.reporting.plots.style import GREEN, ORANGE, RED, SKY, new_figure, plain, save

_LEAST = 1e-7  # the position of 0 on the logarithmic axis
_COLORS = (SKY, ORANGE, GREEN)


class CodesPanel(NamedTuple):
    """One panel: `shares` maps the label of a curve to a share of codes (0 to 1) per layer."""

    title: str
    layers: Sequence[str]
    shares: Mapping[str, Sequence[float]]


def differing_codes(
    path: str | os.PathLike[str], title: str, panels: Sequence[CodesPanel], allowed: float
) -> None:
    """Save the share of differing codes of each layer as a PNG, on a logarithmic axis.

    Args:
      path: the PNG.
      title: title above all panels.
      panels: drawn one below the other, with up to three curves each.
      allowed: the largest share that is tolerated, drawn as a line.

    Raises:
      InputError: the path cannot be written.
    """
    figure = new_figure(1.6 + 4.4 * len(panels))
    figure.suptitle(plain(title))
    grid = figure.subplots(len(panels), 1, squeeze=False)
    for axes, panel in zip(grid[:, 0], panels, strict=True):
        positions = range(len(panel.layers))
        for (label, shares), color in zip(panel.shares.items(), _COLORS, strict=False):
            shown = [max(share, _LEAST) for share in shares]
            axes.plot(positions, shown, marker="o", markersize=4, label=label, color=color)
        axes.axhline(allowed, color=RED, linestyle="--", label="allowed, given the same codes")
        axes.set_yscale("log")
        axes.set_ylim(_LEAST / 2, 2)
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        axes.set_xticks(list(positions), list(map(plain, panel.layers)), rotation=90)
        axes.tick_params(axis="x", labelsize=8 if len(panel.layers) < 80 else 5)
        axes.set_title(plain(panel.title), loc="left")
        axes.set_ylabel("share of codes")
        axes.grid(True, axis="y", color="#e6e6e6", linewidth=0.8)
        axes.set_xlim(-0.6, len(panel.layers) - 0.4)
        axes.spines[["top", "right"]].set_visible(False)
        above = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": 4}
        axes.legend(fontsize=9, frameon=False, **above)
    save(figure, path)


def _percent(share: float, _: int) -> str:
    return "0" if share <= _LEAST else f"{100 * share:.4f}".rstrip("0").rstrip(".") + " %"
