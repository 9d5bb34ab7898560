"""Plots of quality against latency."""

import itertools
import os
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np

from pams_tf.errors import InputError
from pams_tf.reporting.plots.style import BLACK, BLUE, RED, new_figure, plain, save, style

_BELOW = {"xytext": (9, -5), "ha": "left", "va": "top"}  # also of a point that another one beats
_LEFT = {"xytext": (-9, 4), "ha": "right", "va": "bottom"}
# The colour and marker of each series, and where a point's label is placed.
_SERIES = (
    (BLUE, "o", _LEFT),
    (RED, "s", _BELOW),
    (BLACK, "^", {"xytext": (9, 4), "ha": "left", "va": "bottom"}),
)


_NEAR = 0.1
"""The part of width and height within which the label of one point may cover another point."""


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
    series = list(dict.fromkeys(network.series for network in networks))
    width = np.ptp([network.ms for network in networks])
    for axes, name in zip(figure.subplots(1, len(sets), squeeze=False)[0], sets, strict=True):
        height = np.ptp([network.psnr[name] for network in networks])
        for (color, marker, beside), one in zip(cycle(_SERIES), series, strict=False):
            points = sorted((n.ms, n.psnr[name], n.label) for n in networks if n.series == one)
            front = _undominated(points)
            x, y, _ = zip(*front, strict=True)
            axes.plot(
                x, y, marker=marker, color=color, markersize=9, linewidth=1.4, label=plain(one)
            )
            changes = _beside(points, (_NEAR * width, _NEAR * height))
            for (ms, psnr, label), change in zip(points, changes, strict=True):
                place = beside
                if (ms, psnr, label) not in front:
                    place = _BELOW
                    axes.plot(ms, psnr, marker=marker, color=color, markersize=9)
                place = {**place, **change}
                axes.annotate(
                    plain(label), (ms, psnr), size=11, color=color, textcoords="offset points",
                    **place,
                )  # fmt: skip
        style(axes)
        axes.margins(x=0.25, y=0.12)
        axes.set_title(plain(name), size=14, loc="left")
        axes.set_xlabel("latency, ms", size=13)
        axes.set_ylabel("PSNR (Y), dB", size=13)
        axes.legend(fontsize=12, frameon=False, loc="lower right")
    save(figure, path)


def _beside(
    points: Sequence[tuple[float, float, str]], reach: tuple[float, float]
) -> list[dict[str, Any]]:
    """How the place of each label changes, so that it does not cover a point near its own.

    The first of two near points, by ms, has its label on the left, and the second below right.
    """
    near = [
        all(abs(q - p) < r for p, q, r in zip(a[:2], b[:2], reach, strict=True))
        for a, b in itertools.pairwise(points)
    ]
    return [
        _BELOW if before else _LEFT if after else {}
        for before, after in zip([False, *near], [*near, False], strict=True)
    ]


def _undominated(points: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Of points (ms, dB, label), by ms: those that are better than every faster one."""
    front: list[tuple[float, float, str]] = []
    for point in points:
        if not front or point[1] > front[-1][1]:
            front.append(point)
    return front
