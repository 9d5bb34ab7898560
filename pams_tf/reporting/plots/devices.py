"""Bar charts of the latencies measured on several devices."""

import os
from collections.abc import Sequence

from pams_tf.errors import InputError
from pams_tf.reporting.device_results import DeviceResult, shortened, three_digits
from pams_tf.reporting.plots.style import GREEN, RED, new_figure, plain, save


def device_bars(path: str | os.PathLike[str], results: Sequence[DeviceResult]) -> None:
    """Save a PNG with one panel per model: a bar to p50 and a whisker to p90 for each device.

    Raises:
      InputError: there are no results, or the file cannot be written.
    """
    if not results:
        raise InputError("no results to draw")
    models = list(dict.fromkeys(result.model for result in results))
    groups = [[result for result in results if result.model == model] for model in models]
    figure = new_figure(sum(0.45 * len(group) + 1.1 for group in groups) + 0.3)
    panels = figure.subplots(
        len(groups), 1, squeeze=False, height_ratios=[len(group) + 1 for group in groups]
    )[:, 0]
    for axes, model, group in zip(panels, models, groups, strict=True):
        names = [plain(f"{shortened(result.device)} ({result.engine})") for result in group]
        medians = [result.p50 for result in group]
        axes.barh(
            range(len(group)),
            medians,
            xerr=[[0.0] * len(group), [max(r.p90 - r.p50, 0.0) for r in group]],
            color=[GREEN if result.valid else "#ffffff" for result in group],
            edgecolor=[GREEN if result.valid else RED for result in group],
            hatch=["" if result.valid else "///" for result in group],
            error_kw={"ecolor": "#444444", "capsize": 3, "linewidth": 1},
            height=0.65,
        )
        for index, result in enumerate(group):
            text = f"{three_digits(result.p50)} ms" + ("" if result.valid else ", WRONG OUTPUT")
            axes.annotate(
                text,
                (max(result.p90, result.p50), index),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                size=9,
                color="#222222" if result.valid else "#B03A00",
            )
        axes.set_yticks(range(len(group)), names, size=9)
        axes.set_ylim(len(group) - 0.4, -0.6)  # reversed: the first result is at the top
        axes.set_xlim(0, 1.4 * max(max(result.p90, result.p50) for result in group))
        axes.set_title(plain(model), loc="left", size=11, weight="bold")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    panels[-1].set_xlabel("milliseconds per run: bar to the median, whisker to p90")
    save(figure, path)
