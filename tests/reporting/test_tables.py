"""Tables: whole when they go to a file or a pipe, escaped in Markdown."""

import subprocess
import sys

import pytest

from pams_tf.errors import InputError
from pams_tf.reporting.tables import markdown_table, print_table


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1", "COLUMNS": "80"}])
def test_a_piped_table_is_as_wide_as_it_needs_to_be(environment):
    """rich would cut it at 80 columns, without a terminal to ask, and colour it in Jupyter."""
    code = (
        "from pams_tf.reporting.tables import print_table\n"
        "print_table('title ' * 90, ('name', 'scale'), [('x' * 150, 'y' * 60), ('short', '1')])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout
    for text in ("title " * 89, "x" * 150, "y" * 60, "scale"):
        assert text in shown
    assert "…" not in shown
    assert "\x1b" not in shown


def test_brackets_in_cells_are_no_markup(capsys):
    print_table("net[int8].tflite", ("set", "PSNR"), [("[B100]", 27)])
    shown = capsys.readouterr().out
    assert "net[int8].tflite" in shown
    assert "[B100]" in shown


def test_markdown():
    assert markdown_table(("a", "b"), [("1|2", 3.5)]) == [
        "| a | b |", "| --- | --- |", "| 1\\|2 | 3.5 |",
    ]  # fmt: skip


@pytest.mark.parametrize("make", [lambda *a: print_table("", *a), markdown_table])
def test_a_row_with_a_cell_too_few(make):
    with pytest.raises(InputError, match="needs 2 cells, one for each column"):
        make(("a", "b"), [("only one",)])
