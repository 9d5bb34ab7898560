"""The text of --help: complete, and the same as in the guide that lists the commands."""

import json
import re
from pathlib import Path

import pytest
from absl import flags

from pams_tf.commands import cli
from pams_tf.commands.manual import all_manuals, manual

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "commands.md"


@pytest.fixture
def values():
    found = cli.command_flags()
    flags.DEFINE_string("out", None, "A folder.", required=True, flag_values=found)
    flags.DEFINE_enum("kind", "a", ["a", "b"], "The kind.", flag_values=found)
    flags.DEFINE_boolean("checks", True, "Check.", flag_values=found)
    flags.DEFINE_float("rate", 1000.0, "A rate.", flag_values=found)
    flags.DEFINE_integer("steps", 3, "Steps. Default: those of the budget.", flag_values=found)
    flags.DEFINE_multi_string("input", [], "Pictures.", flag_values=found)
    return found


def test_each_option_says_what_it_accepts(values):
    told = {option.name: option.text for option in manual("x", values, "Do it.\n\nMore.").options}
    assert told == {
        "help": "Show this help.",
        "json": "Also write the result to this JSON file.",
        "traceback": "Show the traceback of an error.",
        "out": "A folder. Required.",
        "kind": "The kind. One of: a, b. Default: a.",
        "[no]checks": "Check. Default: on.",
        "rate": "A rate. Default: 1000.",
        "steps": "Steps. Default: those of the budget.",
        "input": "Pictures.",
    }


def test_help_prints_the_manual(values, capsys):
    assert cli.run(lambda: None, values, "Do it.\n\nMore.", ["x", "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown == manual("x", values, "Do it.\n\nMore.").as_text() + "\n"
    assert shown.startswith("x: Do it.\n\nMore.\n\nOptions:\n")


def test_the_guide_lists_every_command_with_the_first_line_of_its_help():
    rows = dict(re.findall(r"^\| `tools/(\w+)\.py` \| (.*) \|$", GUIDE.read_text(), re.MULTILINE))
    expected = {
        found.program.removeprefix("pams-").replace("-", "_"): found.summary
        for found in all_manuals()
    }
    assert rows == expected


def shown_commands():
    """(where, program, its arguments) of each call that a page or a notebook shows in a block."""
    pages = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in (ROOT / "README.md", ROOT / "mobile/README.md", *(ROOT / "docs").rglob("*.md"))
    }
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        pages[path.name] = "\n".join(f"```\n{''.join(c['source'])}\n```" for c in cells)
    call = re.compile(r"\b(?:python tools/(\w+)\.py|(pams-[a-z-]+))((?: .*)?)$", re.MULTILINE)
    for where, text in pages.items():
        for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            for tool, program, rest in call.findall(block.replace("\\\n", " ")):
                yield where, program or f"pams-{tool.replace('_', '-')}", rest


def test_every_command_that_a_page_shows_takes_the_flags_shown():
    found = list(shown_commands())
    assert len({where for where, _, _ in found}) > 10
    known = {one.program: one for one in all_manuals()}
    strangers = []
    for where, program, rest in found:
        names = {option.name.replace("[no]", "") for option in known[program].options}
        for flag in re.findall(r"(?<!\S)--([a-z_\d]+)", rest.partition(" #")[0]):
            if not {flag, flag.removeprefix("no")} & names:
                strangers.append((where, program, flag))
    assert strangers == []
