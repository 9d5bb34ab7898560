"""Plots of quality against latency."""

import os
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from pams_tf.errors import InputError
from pams_tf.reporting.plots.style import (
    BLACK,
    BLUE,
    RED,
    any_script,
    new_figure,
    plain,
    save,
    style,
)

# The colour and marker of each series.
_SERIES = ((BLUE, "o"), (RED, "s"), (BLACK, "^"))

# Where a label may stand beside its point, the best place first.
_PLACES: tuple[dict[str, Any], ...] = (
    {"position": (-9, 4), "ha": "right", "va": "bottom"},
    {"position": (9, -5), "ha": "left", "va": "top"},
    {"position": (9, 4), "ha": "left", "va": "bottom"},
    {"position": (-9, -5), "ha": "right", "va": "top"},
    {"position": (0, 9), "ha": "center", "va": "bottom"},
    {"position": (0, -9), "ha": "center", "va": "top"},
)
_MARKER = 7
"""Pixels from a point to the edges of its marker's box."""


class Tradeoff(NamedTuple):
    """Quality and cost of a network: `psnr` maps sets to dB on Y, `ms` is its median latency.

    Points of the same `series`, such as "8 bits", have one colour.
    """

    label: str
    series: str
    ms: float
    psnr: Mapping[str, float]


def tradeoffs(
    path: str | os.PathLike[str], networks: Sequence[Tradeoff], title: str | None = None
) -> None:
    """Save PSNR against latency as a PNG, one panel per benchmark; the upper left is best.

    A line joins those of a series than which no other is both faster and better.

    Args:
      path: the PNG, 1600 pixels wide.
      networks: the points, all measured on the same sets.
      title: a line above everything.

    Raises:
      InputError: there is nothing to draw, the sets differ, or the path cannot be written.
    """
    sets = list(networks[0].psnr) if networks else []
    if not sets or any(list(network.psnr) != sets for network in networks):
        raise InputError("no trade-off to draw; give networks that were measured on the same sets")
    figure = new_figure(6.0)
    if title:
        figure.suptitle(plain(title), size=15, x=0.01, ha="left")
    series = dict.fromkeys(network.series for network in networks)
    looks = dict(zip(series, cycle(_SERIES), strict=False))
    panels = figure.subplots(1, len(sets), squeeze=False)[0]
    for axes, name in zip(panels, sets, strict=True):
        for one, (color, marker) in looks.items():
            points = sorted((n.ms, n.psnr[name]) for n in networks if n.series == one)
            front = zip(*_undominated(points), strict=True)
            axes.plot(*front, marker=marker, color=color, markersize=9, label=plain(one))
            axes.scatter(*zip(*points, strict=True), marker=marker, color=color, s=81)
        style(axes)
        axes.margins(x=0.25, y=0.12)
        axes.set_title(plain(name), size=14, loc="left")
        axes.set_xlabel("latency, ms", size=13)
        axes.set_ylabel("PSNR (Y), dB", size=13)
        axes.legend(fontsize=12, frameon=False, loc="lower right")
    with any_script():
        figure.draw_without_rendering()  # the layout decides what a label would cover
        for axes, name in zip(panels, sets, strict=True):
            _label(axes, [(n.ms, n.psnr[name], n.label, looks[n.series][0]) for n in networks])
    save(figure, path)


def _label(axes: Axes, points: Sequence[tuple[float, float, str, str]]) -> None:
    """Write the label of each point (ms, dB, label, colour) beside it.

    Its place is the first where it covers no point, line, legend and other label; where there is
    none, it is the first.
    """
    legend = axes.get_legend()
    taken = [legend.get_window_extent()] if legend else []
    for ms, psnr, *_ in points:
        x, y = axes.transData.transform((ms, psnr))
        taken.append(Bbox([[x - _MARKER, y - _MARKER], [x + _MARKER, y + _MARKER]]))
    lines = [axes.transData.transform_path(line.get_path()) for line in axes.lines]

    def is_free(box: Bbox) -> bool:
        inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
        crossed = any(line.intersects_bbox(box, filled=False) for line in lines)
        return inside and not crossed and not box.count_overlaps(taken)

    for ms, psnr, label, color in points:
        text = axes.annotate(
            plain(label), (ms, psnr), (0, 0), size=11, color=color, textcoords="offset points",
            in_layout=False,
        )  # fmt: skip
        for place in (*_PLACES, _PLACES[0]):  # where none is free, it ends at the first
            text.set(**place)
            if is_free(text.get_window_extent()):
                break
        taken.append(text.get_window_extent())


def _undominated(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of points (ms, dB), by ms: those that are better than every faster one."""
    front: list[tuple[float, float]] = []
    for point in points:
        if not front or point[1] > front[-1][1]:
            front.append(point)
    return front
