"""The notebooks run, and what is stored is what a run gives."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.notebooks

FOLDER = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="module")
def run():
    spec = importlib.util.spec_from_file_location("run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def structure(notebook):
    """Each code cell's number and the kinds of its outputs; numbers and pictures may differ."""
    return [
        (
            cell.execution_count,
            [(o.output_type, o.get("name"), sorted(o.get("data", {}))) for o in cell.outputs],
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_run_gives_what_is_stored(path, run):
    import nbformat

    assert structure(run.executed(path)) == structure(nbformat.read(path, as_version=4))
