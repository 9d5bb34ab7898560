"""What is stored of the notebooks: complete, small, quiet, and on the public interface alone."""

import ast
import json
import re
from pathlib import Path

import pytest

import pams_tf

REPOSITORY = Path(__file__).parents[2]
PATHS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
DOCUMENTED = {
    name
    for page in (REPOSITORY / "docs" / "api").glob("*.md")
    for name in re.findall(r"^::: ([\w.]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
}


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def code_cells(path):
    return [cell for cell in read(path) if cell["cell_type"] == "code"]


def source(cell):
    return "".join(cell["source"])


def python(cell):
    """The cell's Python, without the lines that are for IPython."""
    text = source(cell)
    if text.startswith("%%"):
        return ""
    return "\n".join(re.sub(r"^(\s*)%.*", r"\1pass", line) for line in text.splitlines())


def test_the_notebooks_are_there():
    names = {path.stem for path in PATHS}
    assert {
        "quickstart",
        "how_pams_works",
        "to_the_phone",
        "the_paper",
        "your_own_network",
    } <= names


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_it_opens_with_what_it_shows_then_installs_and_sets_its_budget(path):
    cells = read(path)
    assert cells[0]["cell_type"] == "markdown"
    assert source(cells[0]).startswith("# ")
    assert "**Time:**" in source(cells[0])
    install, parameters = code_cells(path)[:2]
    assert f"=={pams_tf.__version__}" in source(install)
    assert 'if "google.colab" in sys.modules:' in source(install)
    assert "parameters" in parameters["metadata"]["tags"]


def test_every_cell_was_run_in_order_without_error_or_noise(path):
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", source(cell)
            text = "".join(output.get("text", ""))
            assert not re.search(r"\x1b\[|\r|Warning|WARNING|it/s|s/step", text), source(cell)
    assert any("image/png" in o.get("data", {}) for cell in cells for o in cell["outputs"])


def test_it_is_smaller_than_a_megabyte(path):
    assert path.stat().st_size < 1_000_000


def test_it_uses_public_names_only(path):
    used = set()
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(python(cell))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pams_tf"):
                used |= {f"{node.module}.{alias.name}" for alias in node.names}
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pams_tf":
                used.add(f"pams_tf.{node.attr}")
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_"), ast.unparse(node)
    # A page may also document all that a module offers.
    assert {name for name in used if not {name, name.rpartition(".")[0]} & DOCUMENTED} == set()
