"""The public names: light to import, documented alike, and their examples are true."""

import doctest
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

import pams_tf
from pams_tf import models, quantization
from pams_tf.models import registry
from pams_tf.quantization import functional

ROOT = Path(pams_tf.__file__).parents[1]


def public():
    """What the modules for users offer, and what else docs/api describes: path -> object."""
    paths = [
        f"{m.__name__}.{n}" for m in (pams_tf, models, quantization, functional) for n in m.__all__
    ]
    for page in sorted((ROOT / "docs" / "api").glob("*.md")):
        paths += re.findall(r"^::: ([\w.]+)", page.read_text(), re.MULTILINE)
    found = {}
    for path in paths:
        home, _, name = path.rpartition(".")
        value = getattr(importlib.import_module(home), name)
        if callable(value):
            found.setdefault(value, path)
    return {path: value for value, path in found.items()}


PUBLIC = public()
# Functions whose arguments leave nothing that could be refused.
NEVER_RAISE = {
    *("list_presets", "presets", "merged", "with_recipe", "quantizers", "random_ranges"),
    *(
        "activation_quantizer",
        "kernel_quantizer",
        "best_alpha",
        "best_clip",
        "fitted_weights",
        "histogram",
    ),
    *("histogram_weights", "kernels_off_grid", "max_abs_range", "moving_average", "off_grid"),
    *("overflow", "quantization_error", "running_maximum", "sample_maxima"),
}


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


@pytest.mark.parametrize("path", PUBLIC)
def test_every_docstring_says_what_a_user_asks(path):
    value = PUBLIC[path]
    lines = {line.strip() for line in inspect.getdoc(value).splitlines()}
    wanted = {"Example:"}
    if inspect.isfunction(value):
        signature = inspect.signature(value)
        wanted |= {"Args:"} if signature.parameters else set()
        wanted |= {"Returns:"} if signature.return_annotation not in (None, "None") else set()
        wanted |= {"Raises:"} - ({"Raises:"} if value.__name__ in NEVER_RAISE else set())
    elif value is not pams_tf.InputError and not lines & {"Args:", "Attributes:"}:
        wanted |= {"Args:"}
    assert wanted - lines == set()
    assert any(line.startswith("Source: ") for line in lines)


@pytest.mark.parametrize("path", PUBLIC)
def test_examples_run_and_give_what_they_show(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAMS_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_PRESETS", dict(registry._PRESETS))
    found = doctest.DocTestFinder(recurse=False).find(PUBLIC[path], path, globs={})
    assert sum(len(test.examples) for test in found) > 0
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in found:
        runner.run(test)
    assert runner.failures == 0


PRINTED = {
    "README.md": "[]\n",  # no failures in the proof
    "docs/own_network.md": "[]\n",
    "docs/training.md": "4 True\n",
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
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    found = {str(p.relative_to(ROOT)) for p in pages if "```python\n" in p.read_text()}
    assert found == set(PRINTED)


@pytest.mark.parametrize("page", PRINTED)
def test_the_python_in_the_documentation_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_PRESETS", dict(registry._PRESETS))
    text = (ROOT / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    exec(compile("\n".join(blocks), page, "exec"), {})
    assert capsys.readouterr().out.startswith(PRINTED[page])


# Of computers, files and colours, and the names of other projects and products.
EVERYDAY = {
    *("AMD", "API", "CI", "CMYK", "CPU", "ECCV", "EPYC", "EXIF", "FAQ", "GAN", "GB", "GPU", "ICC"),
    *("ICLR", "JPEG", "JSON", "KB", "MB", "MiB", "PNG", "RGB", "TIFF", "URL", "WebP", "XMP"),
    *("ATen", "BasicSR", "ESRGAN", "GitHub", "NumPy", "OpenCV", "OpenModelDB", "PyPI", "PyTorch"),
    *("SRVGGNetCompact", "TensorBoard", "TensorFlow", "TF", "TFLite"),
    *("BITS", "SCALE", "CHANGELOG", "CONTRIBUTING", "README"),
    *("M4C28", "M4C32", "M6C32", "U55", "U65", "U85"),
}
PROSE = re.compile(r"```.*?```|`[^`]*`|\]\([^)]*\)|\$[^$]*\$", re.DOTALL)


@pytest.mark.parametrize("page", sorted(p.name for p in (ROOT / "docs").glob("*.md")))
def test_every_abbreviation_is_in_the_glossary(page):
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    prose = PROSE.sub(" ", (ROOT / "docs" / page).read_text())
    used = set(re.findall(r"\b[A-Z][A-Za-z]*[A-Z0-9][A-Za-z0-9]*\b", prose))
    operators = set(vars(schema.BuiltinOperator))
    singular = {name.removesuffix("s") for name in used}
    unknown = singular - EVERYDAY - operators - set(re.findall(r"\w+", glossary))
    assert not unknown
