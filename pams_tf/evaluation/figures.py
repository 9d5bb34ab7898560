"""The pictures of a quantization paper: methods side by side, and alphas over the training.

Figures are drawn on Matplotlib's Figure objects, never through pyplot, so nothing here needs a
display or changes a caller's settings.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from pams_tf.errors import InputError
from pams_tf.evaluation.metrics import luma
from pams_tf.files import atomic_write

_DPI = 100
_WIDTH = 1600
_GREY = "#666666"
# Okabe and Ito's colours, which people with any colour vision tell apart. Of a series: its colour,
# its marker, and the side on which its names stand, where they meet the fewest others.
_SERIES = (
    ("#0072B2", "o", {"xytext": (9, 5), "ha": "left", "va": "bottom"}),
    ("#D55E00", "s", {"xytext": (9, -5), "ha": "left", "va": "top"}),
    ("#202020", "^", {"xytext": (-9, -5), "ha": "right", "va": "top"}),
)
_FRAMES = ("#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#F0E442", "#D55E00")
# Dark to bright, without viridis' pale yellow end, which white paper swallows.
_DEPTH_COLORS = ListedColormap(colormaps["viridis"](np.linspace(0.0, 0.92, 256)))


class Crop(NamedTuple):
    """A window of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


class Tradeoff(NamedTuple):
    """What a network gives and what it costs: `psnr` is set -> dB on Y, `ms` a median latency.

    Those of one `series`, such as "8 bits", are joined by a line.
    """

    label: str
    series: str
    ms: float
    psnr: Mapping[str, float]


def busiest_crops(hr: npt.ArrayLike, size: int, count: int) -> list[Crop]:
    """The windows where a method has most to show: where luma changes most.

    Args:
      hr: (H, W, 3) RGB in [0, 255].
      size: side of the square windows.
      count: how many at most; fewer if no more fit without overlapping.

    Returns:
      Windows that do not overlap and keep off the border, the busiest first.

    Raises:
      InputError: `size` does not fit into the image, or `count` < 1.
    """
    y = luma(hr)
    if count < 1:
        raise InputError(f"count is {count}; ask for 1 crop or more")
    if not 1 <= size <= min(y.shape):
        raise InputError(
            f"crops of {size}x{size} do not fit into an image of {y.shape[0]}x{y.shape[1]}; "
            f"choose 1 to {min(y.shape)}"
        )
    down, right = np.gradient(y) if min(y.shape) > 1 else (np.zeros_like(y),) * 2
    # A table of cumulative sums gives the energy of any window from its four corners.
    table = np.pad(down**2 + right**2, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    energy = table[size:, size:] - table[:-size, size:] - table[size:, :-size]
    energy += table[:-size, :-size]
    margins = [min(size // 4, (length - 1) // 2) for length in energy.shape]
    for axis, margin in enumerate(margins):
        edge = np.minimum(np.arange(energy.shape[axis]), np.arange(energy.shape[axis])[::-1])
        np.moveaxis(energy, axis, 0)[edge < margin] = -1.0
    crops: list[Crop] = []
    while len(crops) < count and energy.max() >= 0.0:
        top, left = map(int, np.unravel_index(energy.argmax(), energy.shape))
        crops.append(Crop(top, left, size, size))
        # Windows keep a quarter of their size apart, so that their frames do not touch.
        reach = size + size // 4
        near = (slice(max(0, at - reach + 1), at + reach) for at in (top, left))
        energy[tuple(near)] = -1.0
    return crops


def comparison(
    path: str | os.PathLike[str],
    panels: Sequence[tuple[str, np.ndarray] | tuple[str, np.ndarray, str]],
    crops: Sequence[Crop | tuple[int, int, int, int]],
    title: str | None = None,
) -> None:
    """Save results beside each other: whole pictures on top, enlarged crops below, as a PNG.

    Each crop has a row and a colour; its frame in the whole picture has the same. Crops are
    enlarged by repeating pixels, so that the picture shows what the method made and nothing more.
    The figure is 1600 pixels wide.

    Args:
      path: the PNG.
      panels: (label, image) or (label, image, caption), images uint8 (H, W, 3), all of one size;
        an LR image enlarged to it. A caption is short, such as "31.05 dB".
      crops: (top, left, height, width) windows, up to 6.
      title: a line above everything.

    Raises:
      InputError: no panels, images that differ in shape or are not uint8 RGB, crops outside the
        image, or a path that cannot be written.
    """
    cells = [(panel[0], panel[1], panel[2] if len(panel) > 2 else "") for panel in panels]
    windows = [Crop(*crop) for crop in crops]
    _check_panels(cells, windows)
    height, width = cells[0][1].shape[:2]

    # Everything is placed in pixels from the top left corner; no layout engine has a say.
    gap, side = 12, 20
    column = (_WIDTH - 2 * side - gap * (len(cells) - 1)) / len(cells)
    # A single portrait panel would be a tower; no row is higher than half the width.
    heights = [min(column * h / w, _WIDTH / 2) for h, w in _sizes(height, width, windows)]
    top = 18 + (44 if title else 0)
    first_row = top + 30 + (24 if any(caption for _, _, caption in cells) else 0) + 6
    total = math.ceil(first_row + sum(heights) + gap * (len(heights) - 1) + side)
    figure = Figure(figsize=(_WIDTH / _DPI, total / _DPI), dpi=_DPI, facecolor="white")

    def write(text: str, x: float, y: float, **style: object) -> None:
        figure.text(x / _WIDTH, 1 - y / total, text, va="top", **style)  # type: ignore[arg-type]

    if title:
        write(title, side, 16, size=17, weight="bold")
    for index, (label, image, caption) in enumerate(cells):
        left = side + index * (column + gap)
        write(label, left, top, size=15, weight="bold")
        write(caption, left, top + 30, size=13, color=_GREY)
        y: float = first_row
        for row, row_height in enumerate(heights):
            window = windows[row - 1] if row else Crop(0, 0, height, width)
            row_width = min(column, row_height * window.width / window.height)
            axes = figure.add_axes(
                (
                    left / _WIDTH,
                    1 - (y + row_height) / total,
                    row_width / _WIDTH,
                    row_height / total,
                )
            )
            _show(axes, image, window, windows if row == 0 else [], row)
            y += row_height + gap
    _save(figure, path)


def alpha_curves(
    path: str | os.PathLike[str],
    steps: Sequence[int] | npt.NDArray[np.integer],
    curves: Mapping[str, Sequence[float] | npt.NDArray[np.floating]],
) -> None:
    """Save how the ranges alpha move over the training steps, as a PNG 1600 pixels wide.

    Names that differ only in their numbers (`block_0_relu`, `block_1_relu`, ...) share a panel and
    are coloured by their first number, the depth in the network. Names of their own share one
    more panel. All panels have one y axis, logarithmic when the alphas spread more than tenfold.

    Args:
      path: the PNG.
      steps: (n,) the training steps.
      curves: name -> (n,) alphas; NaN where none was logged.

    Raises:
      InputError: nothing to draw, a curve that is not as long as `steps`, or a path that cannot
        be written.
    """
    x = np.asarray(steps)
    values = {name: np.asarray(curve, dtype=np.float64) for name, curve in curves.items()}
    if not values or x.size == 0:
        raise InputError(f"no alphas to draw: {len(values)} curves over {x.size} steps")
    for name, curve in values.items():
        if curve.shape != x.shape:
            raise InputError(
                f"the curve {name!r} has shape {curve.shape}, the steps {x.shape}; "
                "give one value a step"
            )
    groups = _grouped(list(values))
    columns = min(3, len(groups))
    rows = math.ceil(len(groups) / columns)
    figure = Figure(
        figsize=(_WIDTH / _DPI, 1.0 + 4.4 * rows), dpi=_DPI, facecolor="white", layout="constrained"
    )
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
        _style(axes)
    if depths:
        _add_depth_bar(figure, list(grid.flat), scale)
    logarithmic = _spreads(np.concatenate(list(values.values())))
    if logarithmic:
        _set_log_scale(grid[0, 0])
    for axes in grid[:, 0]:
        axes.set_ylabel("alpha (log scale)" if logarithmic else "alpha", size=13)
    # The lowest panel of each column names the steps, also where the last row is not full.
    for axes in grid.flat[max(0, len(groups) - columns) : len(groups)]:
        axes.set_xlabel("training step", size=13)
    _save(figure, path)


def activation_ranges(
    path: str | os.PathLike[str], networks: Mapping[str, npt.NDArray[np.floating]]
) -> None:
    """Save how the largest activations spread over samples, layer by layer, as a PNG.

    One panel a network, all with one y axis: the median over the samples, the middle half, and
    the whole range.

    Args:
      path: the PNG, 1600 pixels wide.
      networks: label -> (samples, layers) max|x| of each sample in each layer, in the order data
        meets them.

    Raises:
      InputError: nothing to draw, or a path that cannot be written.
    """
    maxima = {label: np.asarray(values, np.float64) for label, values in networks.items()}
    if not maxima or any(values.ndim != 2 or values.size == 0 for values in maxima.values()):
        shapes = {label: values.shape for label, values in maxima.items()}
        raise InputError(f"no activations to draw: {shapes}; give (samples, layers) a network")
    figure = Figure(figsize=(_WIDTH / _DPI, 5.2), dpi=_DPI, facecolor="white", layout="constrained")
    grid = figure.subplots(1, len(maxima), sharey=True, squeeze=False)[0]
    for axes, (label, values) in zip(grid, maxima.items(), strict=True):
        x = np.arange(values.shape[1])
        low, lower, median, upper, high = np.quantile(values, (0, 0.25, 0.5, 0.75, 1), axis=0)
        axes.fill_between(x, low, high, color="#56B4E9", alpha=0.35, label="all samples")
        axes.fill_between(x, lower, upper, color="#0072B2", alpha=0.45, label="middle half")
        axes.plot(x, median, color="#202020", linewidth=1.6, label="median")
        axes.set_title(f"{label}  ({len(values)} samples)", size=14, loc="left")
        axes.set_xlabel("layer", size=13)
        _style(axes)
    if logarithmic := _spreads(np.concatenate([values.ravel() for values in maxima.values()])):
        _set_log_scale(grid[0])
    grid[0].set_ylabel(f"largest activation{' (log scale)' if logarithmic else ''}", size=13)
    grid[0].legend(fontsize=11, frameon=False)
    _save(figure, path)


def tradeoffs(
    path: str | os.PathLike[str], networks: Sequence[Tradeoff], title: str | None = None
) -> None:
    """Save PSNR against latency, one panel a benchmark set, as a PNG: up and to the left is better.

    Args:
      path: the PNG, 1600 pixels wide.
      networks: all of them with the same sets.
      title: a line above everything.

    Raises:
      InputError: nothing to draw, networks with different sets, or a path that cannot be written.
    """
    sets = list(networks[0].psnr) if networks else []
    if not sets or any(list(network.psnr) != sets for network in networks):
        raise InputError("no trade-off to draw; give networks that were measured on the same sets")
    figure = Figure(figsize=(_WIDTH / _DPI, 6.0), dpi=_DPI, facecolor="white", layout="constrained")
    if title:
        figure.suptitle(title, size=15, x=0.01, ha="left")
    series = list(dict.fromkeys(network.series for network in networks))
    for axes, name in zip(figure.subplots(1, len(sets), squeeze=False)[0], sets, strict=True):
        for (color, marker, beside), one in zip(cycle(_SERIES), series, strict=False):
            points = sorted((n.ms, n.psnr[name], n.label) for n in networks if n.series == one)
            x, y, _ = zip(*points, strict=True)
            axes.plot(x, y, marker=marker, color=color, markersize=9, linewidth=1.4, label=one)
            for ms, psnr, label in points:
                axes.annotate(
                    label, (ms, psnr), textcoords="offset points", size=11, color=color, **beside
                )
        _style(axes)
        axes.margins(x=0.2, y=0.12)
        axes.set_title(name, size=14, loc="left")
        axes.set_xlabel("latency, ms", size=13)
        axes.set_ylabel("PSNR (Y), dB", size=13)
        axes.legend(fontsize=12, frameon=False, loc="lower right")
    _save(figure, path)


def _check_panels(cells: Sequence[tuple[str, np.ndarray, str]], windows: Sequence[Crop]) -> None:
    if not cells:
        raise InputError("a comparison of no panels; give at least one (label, image)")
    if len(windows) > len(_FRAMES):
        raise InputError(f"{len(windows)} crops; give at most {len(_FRAMES)}")
    shape = cells[0][1].shape
    for label, image, _ in cells:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputError(
                f"panel {label!r} is {image.dtype} {image.shape}; give uint8 RGB (H, W, 3)"
            )
        if image.shape != shape:
            raise InputError(
                f"panel {label!r} has shape {image.shape}, {cells[0][0]!r} {shape}; "
                "bring all to the size of HR"
            )
    for crop in windows:
        inside = crop.top + crop.height <= shape[0] and crop.left + crop.width <= shape[1]
        if min(crop) < 0 or min(crop.height, crop.width) < 1 or not inside:
            raise InputError(f"{crop} is not inside the image of {shape[0]}x{shape[1]}")


def _sizes(height: int, width: int, windows: Sequence[Crop]) -> list[tuple[int, int]]:
    return [(height, width), *((window.height, window.width) for window in windows)]


def _show(axes: Axes, image: np.ndarray, window: Crop, marks: Sequence[Crop], row: int) -> None:
    part = image[window.top : window.top + window.height, window.left : window.left + window.width]
    axes.imshow(part, interpolation="nearest" if row else "antialiased", aspect="auto")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=_FRAMES[row - 1], linewidth=4) if row else spine.set_visible(False)
    for mark, color in zip(marks, _FRAMES, strict=False):
        frame = Rectangle(
            (mark.left - 0.5, mark.top - 0.5), mark.width, mark.height, fill=False, color=color
        )
        # A dark seam keeps the frame visible on a ground of its own colour.
        frame.set(linewidth=2.5, path_effects=[withStroke(linewidth=4.5, foreground="#202020")])
        axes.add_patch(frame)


def _grouped(names: Sequence[str], most: int = 6) -> dict[str, list[str]]:
    """Panel title -> names: patterns with several members; the rest, and what is too many, last."""
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
    # Too many to name: the ends say which way the colours run.
    first, *_, last = curves
    axes.set_title(f"dark: {first}, bright: {last}", size=11, color=_GREY, loc="right")


def _plot(
    axes: Axes,
    x: np.ndarray,
    curve: np.ndarray,
    color: tuple[float, float, float, float],
    label: str | None = None,
    thin: bool = False,
) -> None:
    # A single step makes no line.
    marker = "o" if x.size == 1 else None
    axes.plot(x, curve, color=color, linewidth=0.9 if thin else 1.6, marker=marker, label=label)


def _style(axes: Axes) -> None:
    axes.grid(True, which="major", color="#e6e6e6", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    # Panels share the y axis, but each shows its figures: a reader looks along one panel.
    axes.tick_params(labelsize=11, labelleft=True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))


def _set_log_scale(axes: Axes) -> None:
    axes.set_yscale("log", nonpositive="mask")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _add_depth_bar(figure: Figure, panels: list[Axes], scale: Normalize) -> None:
    bar = figure.colorbar(ScalarMappable(scale, _DEPTH_COLORS), ax=panels, pad=0.01, aspect=40)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    bar.ax.tick_params(labelsize=11)
    bar.set_label("block", size=13)


def _spreads(values: np.ndarray) -> bool:
    positive = values[np.isfinite(values) & (values > 0)]
    return positive.size > 0 and bool(positive.max() > 10 * positive.min())


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=_DPI)
