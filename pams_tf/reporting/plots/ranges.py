"""Plots of ranges over the training steps, and of the spread of activations over samples."""

import math
import os
import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pams_tf.errors import InputError
from pams_tf.reporting.plots.style import (
    BLACK,
    BLUE,
    GREY,
    SKY,
    new_figure,
    save,
    set_log_scale,
    spreads,
    style,
)

# From dark to bright, without the pale yellow end of viridis, which is hard to see on white.
_DEPTH_COLORS = ListedColormap(colormaps["viridis"](np.linspace(0.0, 0.92, 256)))


def alpha_curves(
    path: str | os.PathLike[str],
    steps: Sequence[int] | npt.NDArray[np.integer],
    curves: Mapping[str, Sequence[float] | npt.NDArray[np.floating]],
) -> None:
    """Save the ranges alpha over the training steps as a PNG 1600 pixels wide.

    Names that differ only in their numbers (`block_0_relu`, `block_1_relu`, ...) share a panel and
    are coloured by the first number, their depth in the network. All other names share one more
    panel. All panels have the same y axis, logarithmic if the alphas spread more than tenfold.

    Args:
      path: the PNG.
      steps: (n,) the training steps.
      curves: name -> (n,) alphas; NaN where none was logged.

    Raises:
      InputError: there is nothing to draw, a curve is not as long as `steps`, or the path cannot be
        written.
    """
    x = np.asarray(steps)
    values = {name: np.asarray(curve, dtype=np.float64) for name, curve in curves.items()}
    if not values or x.size == 0:
        raise InputError(f"no alphas to draw: {len(values)} curves over {x.size} steps")
    for name, curve in values.items():
        if curve.shape != x.shape:
            raise InputError(
                f"the curve {name!r} has shape {curve.shape}, the steps {x.shape}; "
                "give one value per step"
            )
    groups = _grouped(list(values))
    columns = min(3, len(groups))
    rows = math.ceil(len(groups) / columns)
    figure = new_figure(1.0 + 4.4 * rows)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes in grid.flat[len(groups) :]:
        axes.set_visible(False)
    depths = [_depth(name) for title in groups if "*" in title for name in groups[title]]
    scale = Normalize(0, max([1, *depths]))
    for axes, (title, names) in zip(grid.flat, groups.items(), strict=False):
        axes.set_title(f"{title}  ({len(names)})", size=14, loc="left")
        shown = {name: values[name] for name in names}
        if "*" in title:
            _draw_by_depth(axes, x, shown, scale)
        else:
            _draw_by_name(axes, x, shown)
        style(axes)
    if depths:
        _add_depth_bar(figure, list(grid.flat), scale)
    logarithmic = spreads(np.concatenate(list(values.values())))
    if logarithmic:
        set_log_scale(grid[0, 0])
    for axes in grid[:, 0]:
        axes.set_ylabel("alpha (log scale)" if logarithmic else "alpha", size=13)
    # The lowest panel of each column labels the steps, even if the last row is not full.
    for axes in grid.flat[max(0, len(groups) - columns) : len(groups)]:
        axes.set_xlabel("training step", size=13)
    save(figure, path)


def activation_ranges(
    path: str | os.PathLike[str], networks: Mapping[str, npt.NDArray[np.floating]]
) -> None:
    """Save the spread of the largest activations over samples, layer by layer, as a PNG.

    One panel per network, all with the same y axis: the median over the samples, the middle half,
    and the whole range.

    Args:
      path: the PNG, 1600 pixels wide.
      networks: label -> (samples, layers) max|x| of each sample in each layer, in order of
        execution.

    Raises:
      InputError: there is nothing to draw, or the path cannot be written.
    """
    maxima = {label: np.asarray(values, np.float64) for label, values in networks.items()}
    if not maxima or any(values.ndim != 2 or values.size == 0 for values in maxima.values()):
        shapes = {label: values.shape for label, values in maxima.items()}
        raise InputError(f"no activations to draw: {shapes}; give (samples, layers) per network")
    figure = new_figure(5.2)
    grid = figure.subplots(1, len(maxima), sharey=True, squeeze=False)[0]
    for axes, (label, values) in zip(grid, maxima.items(), strict=True):
        x = np.arange(values.shape[1])
        low, lower, median, upper, high = np.quantile(values, (0, 0.25, 0.5, 0.75, 1), axis=0)
        axes.fill_between(x, low, high, color=SKY, alpha=0.35, label="all samples")
        axes.fill_between(x, lower, upper, color=BLUE, alpha=0.45, label="middle half")
        axes.plot(x, median, color=BLACK, linewidth=1.6, label="median")
        axes.set_title(f"{label}  ({len(values)} samples)", size=14, loc="left")
        axes.set_xlabel("layer", size=13)
        style(axes)
    if logarithmic := spreads(np.concatenate([values.ravel() for values in maxima.values()])):
        set_log_scale(grid[0])
    grid[0].set_ylabel(f"largest activation{' (log scale)' if logarithmic else ''}", size=13)
    grid[0].legend(fontsize=11, frameon=False)
    save(figure, path)


def _grouped(names: Sequence[str], most: int = 6) -> dict[str, list[str]]:
    """Panel title -> names: one panel per pattern with several names, and one for all others.

    If there are more than `most` panels, the names of the smallest patterns join the others.
    """
    patterns: dict[str, list[str]] = {}
    for name in names:
        patterns.setdefault(re.sub(r"\d+", "*", name), []).append(name)
    panels = {pattern: group for pattern, group in patterns.items() if len(group) > 1}
    alone = [name for name in names if re.sub(r"\d+", "*", name) not in panels]
    while len(panels) + bool(alone) > most:
        alone += panels.pop(min(panels, key=lambda pattern: len(panels[pattern])))
    if alone:
        panels["others" if panels else "all"] = alone
    return panels


def _depth(name: str) -> int:
    match = re.search(r"\d+", name)
    return int(match.group()) if match else 0


def _draw_by_depth(
    axes: Axes, x: np.ndarray, curves: Mapping[str, np.ndarray], scale: Normalize
) -> None:
    for name, curve in curves.items():
        _plot(axes, x, curve, _DEPTH_COLORS(scale(_depth(name))), thin=len(curves) > 40)


def _draw_by_name(axes: Axes, x: np.ndarray, curves: Mapping[str, np.ndarray]) -> None:
    few = len(curves) <= 10
    for index, (name, curve) in enumerate(curves.items()):
        color = colormaps["tab10"](index) if few else _DEPTH_COLORS(index / (len(curves) - 1))
        _plot(axes, x, curve, color, label=name, thin=len(curves) > 40)
    if few:
        axes.legend(fontsize=11, frameon=False)
        return
    # Too many for a legend: name the first and the last to show the order of the colours.
    first, *_, last = curves
    axes.set_title(f"dark: {first}, bright: {last}", size=11, color=GREY, loc="right")


def _plot(
    axes: Axes,
    x: np.ndarray,
    curve: np.ndarray,
    color: tuple[float, float, float, float],
    label: str | None = None,
    thin: bool = False,
) -> None:
    # A single step needs a marker: it would not draw a line.
    marker = "o" if x.size == 1 else None
    axes.plot(x, curve, color=color, linewidth=0.9 if thin else 1.6, marker=marker, label=label)


def _add_depth_bar(figure: Figure, panels: list[Axes], scale: Normalize) -> None:
    bar = figure.colorbar(ScalarMappable(scale, _DEPTH_COLORS), ax=panels, pad=0.01, aspect=40)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    bar.ax.tick_params(labelsize=11)
    bar.set_label("block", size=13)
