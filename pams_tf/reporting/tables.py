"""Tables for the terminal and in Markdown."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pams_tf.errors import InputError
from pams_tf.streams import printable

# Wider than any table: without a terminal, nothing is truncated or wrapped.
_UNLIMITED = 10_000


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table to standard output, the first column left-aligned and the others right-aligned.

    On a terminal the table is fitted to its width, and what is too long is folded. In a file or a
    pipe it is as wide as necessary and plain text, even where the environment asks for colours
    (FORCE_COLOR, as in Jupyter).

    Raises:
      InputError: a row does not have one cell per column.
    """
    table = Table()
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(_displayed, _checked(row, columns)))
    terminal = sys.stdout.isatty()
    # Cells may be file names, in which brackets are not markup.
    console = Console(
        markup=False,
        highlight=False,
        force_terminal=terminal,
        width=None if terminal else _UNLIMITED,
    )
    # A title of rich's own is folded to the width of the table.
    console.print(printable(title), style="italic")
    console.print(table)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """The lines of a Markdown table; vertical bars in cells are escaped.

    Raises:
      InputError: a row does not have one cell per column.
    """
    cells = [_checked(row, columns) for row in (columns, *rows)]
    lines = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    lines.insert(1, ["---"] * len(columns))
    return [f"| {' | '.join(line)} |" for line in lines]


def _displayed(cell: str) -> str:
    """A cell may have several lines."""
    return "\n".join(map(printable, cell.split("\n")))


def _checked(row: Sequence[object], columns: Sequence[str]) -> list[str]:
    if len(row) != len(columns):
        raise InputError(f"the row {list(row)} needs {len(columns)} cells, one for each column")
    return [str(cell) for cell in row]
