"""Tables as Markdown and JSON: the paper's numbers, ours, and the difference."""

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pams_tf.files import write_text
from pams_tf.reporting.tables import markdown_table
from pams_tf.reproduce.tables import Cell, Section, Table

Values = tuple[float, ...]
_LINES = ("paper", "ours", "difference")

EMPTY = "–"  # noqa: RUF001 - a cell without a value


def fill(
    table: Table, figures: Callable[[Any, str], dict[str, Any] | None]
) -> dict[Cell, Values | None]:
    """Our values of each cell, as many as its section has; None if there are none.

    Args:
      table: the table whose cells are filled.
      figures: (network, set) -> a result with `psnr` and `ssim`, or None.
    """
    return {
        cell: _filled(cell, len(section.values), figures)
        for section in table.sections
        for cell in section.cells
    }


def write_table(
    folder: Path,
    table: Table,
    ours: dict[Cell, Values | None],
    context: dict[str, Any],
) -> list[Path]:
    """Write FOLDER/table_N.md and FOLDER/table_N.json.

    Args:
      folder: folder for the files.
      table: the table.
      ours: the values of each cell.
      context: how they were made: `command`, `machine`, `budget`, `missing_sets`, `failed`, `runs`.

    Returns:
      The two files.

    Raises:
      InputError: the folder cannot be written.
    """
    content = {
        "table": table.number,
        "title": table.title,
        "sections": [_section_json(section, ours) for section in table.sections],
        "notes": list(table.notes),
        **context,
    }
    paths = [folder / f"table_{table.number}.{kind}" for kind in ("md", "json")]
    write_text(paths[0], markdown(table, ours, context))
    write_text(paths[1], json.dumps(content, indent=2) + "\n")
    return paths


def write_figure(
    folder: Path,
    number: int,
    title: str,
    pictures: Sequence[Path],
    notes: Sequence[str],
    context: dict[str, Any],
) -> Path:
    """Write FOLDER/figure_N.md, a page with the pictures, which are in the same folder.

    Raises:
      InputError: the folder cannot be written.
    """
    lines = [f"# Figure {number}: {title}", ""]
    for picture in pictures:
        lines += [f"![{picture.stem}]({picture.name})", ""]
    lines += ["## Notes", "", *(f"- {note}" for note in (*notes, *_omissions(context))), ""]
    path = folder / f"figure_{number}.md"
    write_text(path, "\n".join([*lines, *made_with(context)]) + "\n")
    return path


def markdown(table: Table, ours: dict[Cell, Values | None], context: dict[str, Any]) -> str:
    """The complete report on one table."""
    lines = [f"# Table {table.number}: {table.title}", ""]
    for section in table.sections:
        lines += [f"## {section.title}", "", *_section_markdown(section, ours), ""]
        if section.ranked:
            lines += [*_orders(section, ours), ""]
    lines += ["## Notes", ""]
    lines += [f"- {note}" for note in (*table.notes, *_omissions(context))]
    lines += ["", *made_with(context)]
    return "\n".join(lines) + "\n"


def made_with(context: dict[str, Any]) -> list[str]:
    """Markdown lines about command, machine, settings and runs."""
    machine, budget = context["machine"], context["budget"]
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    lines = [
        "## Made with",
        "",
        "```",
        context["command"],
        "```",
        "",
        f"- {machine['cpu']}, {machine['cores']} cores, {gpus}; {machine['system']}, Python "
        f"{machine['python']}, TensorFlow {machine['tensorflow']}, Keras {machine['keras']}",
        f"- Budget `{budget['name']}`: {budget['about']}",
    ]
    if context["given"]:
        lines.append(f"- Given float networks: {', '.join(context['given'])}")
    if any(run["recipe"] is None for run in context["runs"]):
        lines.append(f"- Trained float networks: {_settings(budget['teacher'])}")
    if any(run["recipe"] for run in context["runs"]):
        lines.append(f"- Students, scope body: {_settings(budget['student'])}")
        if budget["few_bits"]:
            lines.append(f"- Students of 4 bits or fewer: {_settings(budget['few_bits'])}")
        if budget["learned_ranges"]:
            lines.append(f"- PAMS and PACT: {_settings(budget['learned_ranges'])}")
    if context["runs"]:
        lines.append(f"- Training images: {context['data']}")
    if context["runs"]:
        lines += ["", "| run | steps | best step | validation PSNR |", "|---|---|---|---|"]
        lines += [
            f"| {run['name']} | {run['steps']} | {_shown(run['best_step'])} | "
            f"{_shown(run['best_psnr'], '.3f')} |"
            for run in context["runs"]
        ]
    return lines


def _filled(
    cell: Cell, count: int, figures: Callable[[Any, str], dict[str, Any] | None]
) -> Values | None:
    if cell.value is not None or cell.of is None or cell.benchmark is None:
        return cell.value
    if cell.repeats:
        return _mean_and_deviation([cell.of, *cell.repeats], cell.benchmark, figures)
    result = figures(cell.of, cell.benchmark)
    if result is None or result["psnr"] is None:
        return None
    if cell.minus is None:
        return (result["psnr"], result["ssim"])[:count]
    other = figures(cell.minus, cell.benchmark)
    if other is None or other["psnr"] is None:
        return None
    return (result["psnr"] - other["psnr"],)


def _mean_and_deviation(
    networks: Sequence[Any], benchmark: str, figures: Callable[[Any, str], dict[str, Any] | None]
) -> Values | None:
    """The mean PSNR of the networks and its standard deviation; None if one is not measured."""
    results = [figures(network, benchmark) for network in networks if network is not None]
    values = [result["psnr"] for result in results if result and result["psnr"] is not None]
    if len(values) < len(networks):
        return None
    return statistics.mean(values), statistics.stdev(values)


def _section_markdown(section: Section, ours: dict[Cell, Values | None]) -> list[str]:
    by_place = {(cell.row, cell.column): cell for cell in section.cells}
    compared = any(cell.paper is not None for cell in section.cells)
    lines = _LINES if compared else ("ours",)
    rows = []
    for row in dict.fromkeys(cell.row for cell in section.cells):
        cells = [by_place.get((row, column)) for column in section.columns]
        for line in lines:
            labels = row if line == lines[0] else ("",) * len(row)
            texts = [_text(_values(cell, ours)[line], section, line) for cell in cells]
            rows.append([*labels, line, *texts])
    return markdown_table([*section.rows, "", *section.columns], rows)


def _values(cell: Cell | None, ours: dict[Cell, Values | None]) -> dict[str, Values | None]:
    paper, own = (cell.paper, ours[cell]) if cell else (None, None)
    both = paper is not None and own is not None
    difference = tuple(b - a for a, b in zip(paper or (), own or (), strict=True)) if both else None
    return dict(zip(_LINES, (paper, own, difference), strict=True))


def _text(values: Values | None, section: Section, line: str) -> str:
    if values is None:
        return EMPTY
    sign = "+" if line == "difference" else ""
    # Adding 0.0 turns -0.0 into 0.0.
    rounded = [(round(v, d) + 0.0, d) for v, d in zip(values, section.decimals, strict=False)]
    return " / ".join(f"{v:{sign}.{d}f}" for v, d in rounded)


def _orders(section: Section, ours: dict[Cell, Values | None]) -> list[str]:
    """The order of the columns in each row, best first, in the paper and in our results."""
    rows = []
    for row in dict.fromkeys(cell.row for cell in section.cells):
        cells = [cell for cell in section.cells if cell.row == row]
        orders = []
        for values in ({c: c.paper for c in cells}, {c: ours[c] for c in cells}):
            known = [(v[0], c.column) for c, v in values.items() if v is not None]
            best = [column for _, column in sorted(known, key=lambda pair: -pair[0])]
            orders.append(" > ".join(best) if len(best) == len(cells) else EMPTY)
        if orders[1] != EMPTY:
            same = "yes" if orders[0] == orders[1] else "no"
            rows.append([*row, *orders, EMPTY if orders[0] == EMPTY else same])
    if not rows:
        return []
    header = [*section.rows, "the paper's order", "our order", "the same"]
    return ["Best first:", "", *markdown_table(header, rows)]


def _section_json(section: Section, ours: dict[Cell, Values | None]) -> dict[str, Any]:
    def named(values: Values | None) -> dict[str, float] | None:
        return dict(zip(section.values, values, strict=True)) if values is not None else None

    return {
        "title": section.title,
        "rows": list(section.rows),
        "columns": section.columns,
        "values": list(section.values),
        "cells": [
            {
                "row": list(cell.row),
                "column": cell.column,
                "network": cell.of.name if cell.of else None,
                **{line: named(values) for line, values in _values(cell, ours).items()},
            }
            for cell in section.cells
        ],
    }


def _omissions(context: dict[str, Any]) -> list[str]:
    lines = []
    if context["missing_sets"]:
        lines.append(f"Not measured, so empty: {', '.join(context['missing_sets'])}.")
    lines += [f"{name} has failed: {why}" for name, why in context["failed"].items()]
    return lines


def _settings(fields: dict[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in fields.items())


def _shown(value: Any, form: str = "") -> str:
    return EMPTY if value is None else format(value, form)
