"""The public names: light to import, documented alike, and their examples are true."""

import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pams_tf
from pams_tf.models import registry
from pams_tf.models.registry import register

PUBLIC = [getattr(pams_tf, name) for name in pams_tf.__all__ if name != "__version__"]
DOCUMENTED = [one for one in PUBLIC if one is not pams_tf.InputError]


def named(value):
    return value.__name__


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, pams_tf; assert set(pams_tf.__all__) <= set(dir(pams_tf)); "
        "heavy = {'tensorflow', 'keras', 'numpy', 'PIL', 'ai_edge_litert', 'matplotlib', 'rich'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'pams_tf' has no attribute 'quantise'"):
        _ = pams_tf.quantise


@pytest.mark.parametrize("public", DOCUMENTED, ids=named)
def test_every_docstring_says_what_a_user_asks(public):
    text = inspect.getdoc(public)
    has_fields = public is pams_tf.QuantizationRecipe
    sections = ["Source:", "Example:"]
    if public is not pams_tf.list_presets:  # takes nothing, and nothing can go wrong
        sections += ["Attributes:" if has_fields else "Args:", "Raises:"]
    if inspect.isfunction(public):
        sections.append("Returns:")
    missing = [section for section in sections if section not in text]
    assert missing == []


@pytest.mark.parametrize("public", [*DOCUMENTED, register], ids=named)
def test_examples_run_and_give_what_they_show(public, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAMS_TF_CACHE", str(tmp_path / "cache"))
    found = doctest.DocTestFinder(recurse=False).find(public, public.__name__, globs={})
    assert sum(len(test.examples) for test in found) > 0
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in found:
        runner.run(test)
    assert runner.failures == 0


PRINTED = {
    "README.md": "[]\n",  # no failures in the proof
    "docs/own_network.md": "[]\n",
    "docs/get_started.md": "[]\n",
    "docs/any_size.md": "(180, 320) 14\n(80, 1400, 3)\n",
    "docs/android.md": "(256, 256, 3)\n",
    "docs/api/networks.md": "['edsr_baseline', 'edsr', 'edsr_mobile'] 14\n"
    "edsr_mobile x2, blocks=2 False\n",
    "docs/api/quantizers.md": "[ 0. -1.]\n"
    "[[  1. 127.]] CodeGrid(scale=1.0, qmin=-127, qmax=127)\n"
    "['block_0_input: 73', 'block_0_relu: 80']\n",
}


def test_every_page_with_python_is_run():
    root = Path(pams_tf.__file__).parents[1]
    pages = [root / "README.md", *(root / "docs").rglob("*.md")]
    found = {str(p.relative_to(root)) for p in pages if "```python\n" in p.read_text()}
    assert found == set(PRINTED)


@pytest.mark.parametrize("page", PRINTED)
def test_the_python_in_the_documentation_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_PRESETS", dict(registry._PRESETS))
    text = (Path(pams_tf.__file__).parents[1] / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    exec(compile("\n".join(blocks), page, "exec"), {})
    assert capsys.readouterr().out.startswith(PRINTED[page])
