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


LOGGED = """
2026-01-02 03:04:05.678901: I tensorflow/core/platform/cpu_feature_guard.cc:210] This TensorFlow \
binary is optimized to use available CPU instructions in performance-critical operations.
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.
2026-01-02 03:04:05.678901: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
E0000 00:00:1700000000.123456 12 cuda_dnn.cc:8579] Unable to register cuDNN factory
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
"""


def test_what_other_machines_log_is_left_out_and_warnings_of_python_are_not(tmp_path, run):
    import nbformat

    sources = [
        f"import os\nprint('a', flush=True)\nos.write(2, {LOGGED.encode()!r})\nprint('b');",
        "import warnings\nwarnings.warn('look at this')",
    ]
    path = tmp_path / "logs.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    first, second = run.executed(path).cells
    assert [(output.name, output.text) for output in first.outputs] == [("stdout", "a\nb\n")]
    (output,) = second.outputs
    assert output.name == "stderr"
    assert "look at this" in output.text


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
