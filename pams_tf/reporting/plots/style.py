"""The common style of all plots: sizes, colours, grids, and saving a figure as a PNG.

Plots are drawn on Matplotlib's Figure objects, never through pyplot, so they need no display and
do not change a caller's settings.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from pams_tf.files import atomic_write
from pams_tf.streams import printable

DPI = 100
WIDTH = 1600
"""Width of every figure in pixels."""
GREY = "#666666"
# The colours of Okabe and Ito, which people with any type of colour vision can tell apart.
BLUE, SKY, GREEN, ORANGE, RED, PINK, YELLOW, BLACK = (
    "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#F0E442", "#202020",
)  # fmt: skip


def new_figure(height: float, *, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """An empty figure, 1600 pixels wide.

    Args:
      height: inches, of 100 pixels each.
      layout: how Matplotlib arranges the axes; None to place everything by hand.
    """
    return Figure(figsize=(WIDTH / DPI, height), dpi=DPI, facecolor="white", layout=layout)


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as a PNG, atomically.

    Raises:
      InputError: the path cannot be written.
    """
    with atomic_write(path) as file, any_script():
        figure.savefig(file, format="png", dpi=DPI)


@contextlib.contextmanager
def any_script() -> Iterator[None]:
    """Draw and measure text without a warning where the font lacks its script.

    Such a name is drawn as boxes; the tables have it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def style(axes: Axes, *, integer_steps: bool = True) -> None:
    """Set a light grid, no spines at the top and the right, and integer ticks on the x axis."""
    axes.grid(True, which="major", color="#e6e6e6", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    # Panels share a y axis, but each shows its labels, so that it can be read on its own.
    axes.tick_params(labelsize=11, labelleft=True)
    if integer_steps:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))


def set_log_scale(axes: Axes) -> None:
    """Make the y axis logarithmic, with plain numbers as labels."""
    axes.set_yscale("log", nonpositive="mask")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def plain(text: str) -> str:
    """A text from outside as Matplotlib draws it literally.

    The name of a file can hold two dollar signs, between which Matplotlib reads a formula, and
    what is no character, which it cannot draw.
    """
    return printable(text).replace("$", r"\$")


def spreads(values: np.ndarray) -> bool:
    """Whether positive values spread more than tenfold, so that a logarithmic axis is useful."""
    positive = values[np.isfinite(values) & (values > 0)]
    return positive.size > 0 and bool(positive.max() > 10 * positive.min())
