"""Upscaled images side by side, with enlarged crops."""

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from pams_tf.errors import InputError
from pams_tf.reporting.plots.style import (
    DPI,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    RED,
    SKY,
    WIDTH,
    YELLOW,
    new_figure,
    plain,
    save,
)

_FRAMES = (ORANGE, SKY, PINK, GREEN, YELLOW, RED)


class Crop(NamedTuple):
    """A window of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


def comparison(
    path: str | os.PathLike[str],
    panels: Sequence[tuple[str, np.ndarray] | tuple[str, np.ndarray, str]],
    crops: Sequence[Crop | tuple[int, int, int, int]],
    title: str | None = None,
) -> None:
    """Save results side by side as a PNG: whole images on top, enlarged crops below.

    Each crop has its own row and colour, which is also that of its frame in the whole image. Crops
    are enlarged by repeating pixels, so that nothing but the output of the method is shown. The
    figure is 1600 pixels wide.

    Args:
      path: the PNG.
      panels: (label, image) or (label, image, caption), with images uint8 (H, W, 3), all of the
        same size; enlarge an LR image to it first. A caption is short, such as "31.05 dB".
      crops: (top, left, height, width) windows, up to 6.
      title: a line above everything.

    Raises:
      InputError: there are no panels, images differ in shape or are not uint8 RGB, a crop is
        outside the image, or the path cannot be written.
    """
    cells = [(panel[0], panel[1], panel[2] if len(panel) > 2 else "") for panel in panels]
    windows = [Crop(*crop) for crop in crops]
    _check_panels(cells, windows)
    height, width = cells[0][1].shape[:2]

    # Everything is placed in pixels from the top left corner, without a layout engine.
    gap, side = 12, 20
    column = (WIDTH - 2 * side - gap * (len(cells) - 1)) / len(cells)
    # A single portrait panel would be extremely tall, so a row is at most half the width high.
    heights = [min(column * h / w, WIDTH / 2) for h, w in _sizes(height, width, windows)]
    top = 18 + (44 if title else 0)
    first_row = top + 30 + (24 if any(caption for _, _, caption in cells) else 0) + 6
    total = math.ceil(first_row + sum(heights) + gap * (len(heights) - 1) + side)
    figure = new_figure(total / DPI, layout=None)

    def write(text: str, x: float, y: float, **style: object) -> None:
        where = (x / WIDTH, 1 - y / total)
        figure.text(*where, plain(text), va="top", **style)  # type: ignore[arg-type]

    if title:
        write(title, side, 16, size=17, weight="bold")
    for index, (label, image, caption) in enumerate(cells):
        left = side + index * (column + gap)
        write(label, left, top, size=15, weight="bold")
        write(caption, left, top + 30, size=13, color=GREY)
        y: float = first_row
        for row, row_height in enumerate(heights):
            window = windows[row - 1] if row else Crop(0, 0, height, width)
            row_width = min(column, row_height * window.width / window.height)
            axes = figure.add_axes(
                (
                    left / WIDTH,
                    1 - (y + row_height) / total,
                    row_width / WIDTH,
                    row_height / total,
                )
            )
            _show(axes, image, window, windows if row == 0 else [], row)
            y += row_height + gap
    save(figure, path)


def _check_panels(cells: Sequence[tuple[str, np.ndarray, str]], windows: Sequence[Crop]) -> None:
    if not cells:
        raise InputError("no panels to compare; give at least one (label, image)")
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
        # A dark outline keeps the frame visible on a background of its own colour.
        frame.set(linewidth=2.5, path_effects=[withStroke(linewidth=4.5, foreground="#202020")])
        axes.add_patch(frame)
