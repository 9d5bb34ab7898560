"""How the pages of the site are made, without building it."""

import importlib.util
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pams_tf.commands.manual import all_manuals

pytest.importorskip("mkdocs", reason="needs the extra `docs`; run by `make docs-test`")
pytestmark = pytest.mark.site

WEBSITE = Path(__file__).parents[2] / "website"


def load(name):
    spec = importlib.util.spec_from_file_location(f"website_{name}", WEBSITE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def page(uri):
    return SimpleNamespace(file=SimpleNamespace(src_uri=uri))


def test_a_commands_page_has_all_that_its_help_says():
    for manual in all_manuals():
        shown = load("command_pages").page(manual).replace("&lt;", "<").replace("&gt;", ">")
        words = shown.replace("&#42;", "*").replace("&amp;", "&").split()
        for option in manual.options:
            assert f"`--{option.name}`" in " ".join(words)
            assert " ".join(option.text.split()) in " ".join(words), manual.program


@pytest.mark.parametrize(
    ("uri", "link", "expected"),
    [
        ("index.md", "docs/npu.md#x", "npu.md#x"),
        ("index.md", "reports/", "reports/index.md"),
        ("npu.md", "integer_files.md", "integer_files.md"),
        ("layout.md", "../CONTRIBUTING.md", "contributing.md"),
        ("reports/index.md", "cpu/table_2.md", "cpu/table_2.md"),
        ("get_started.md", "../notebooks/quickstart.ipynb", "notebooks/quickstart.md"),
        ("index.md", "https://example.org/docs/npu.md", "https://example.org/docs/npu.md"),
        ("npu.md", "missing.md", "missing.md"),  # mkdocs reports it
    ],
)
def test_links_between_files_become_links_between_pages(uri, link, expected):
    pages = load("outside_pages")
    assert pages.on_page_markdown(f"a [text]({link}) b", page(uri)) == f"a [text]({expected}) b"


def test_a_link_to_a_file_without_a_page(monkeypatch):
    pages = load("outside_pages")
    monkeypatch.delenv("REPOSITORY", raising=False)
    assert pages.on_page_markdown("[the code](../LICENSE)", page("npu.md")) == "the code"
    monkeypatch.setenv("REPOSITORY", "https://example.org/x/")
    shown = pages.on_page_markdown("[the code](../LICENSE)", page("npu.md"))
    assert shown == "[the code](https://example.org/x/LICENSE)"


def test_a_public_name_without_a_page_or_docstring_is_a_warning(monkeypatch, caplog):
    import pams_tf

    names = load("public_names")
    with caplog.at_level(logging.WARNING):
        names.on_env(None)
    assert "pams_tf.quantize is on no page in docs/api" in caplog.text
    monkeypatch.setattr(pams_tf, "load", lambda: None)
    names.on_env(None)
    assert "pams_tf.load has no docstring" in caplog.text


def test_attributes_that_share_a_line_are_not_read_as_one_and_its_type():
    griffe = pytest.importorskip("griffe")
    text = "A grid.\n\nExample:\n  >>> 1\n  1\n\nAttributes:\n  qmin, qmax: codes.\n  scale: step."
    docstring = griffe.Docstring(load("docstring_sections").rewritten(text))
    _, examples, attributes = docstring.parse("google")
    assert examples.kind.value == "examples"
    found = [(a.name.split(",\N{NO-BREAK SPACE}"), a.annotation) for a in attributes.value]
    assert found == [(["qmin", "qmax"], None), (["scale"], None)]


def test_flags_in_the_text_are_kept_in_one_line():
    html = '<p title="--x">use <code>--bits 4</code>; a--b</p><pre><code>pams --bits</code></pre>'
    marked = html.replace("--bits 4", '<span class="flag">--bits</span> 4')
    assert load("flags").on_page_content(html) == marked


def test_an_equation_becomes_mathml():
    html = '<span class="arithmatex">\\(a &lt; b\\)</span>'
    shown = load("equations").on_page_content(html)
    assert shown.startswith('<span class="equation"><math')
    assert "&lt;" in shown or "&#x0003C;" in shown
