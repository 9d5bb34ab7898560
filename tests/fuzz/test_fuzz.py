"""A small part of `make fuzz`, and that the fuzzer notices what may go wrong."""

import sys
import textwrap

import pytest

pytest.importorskip("resource", reason="no limit to memory on this system")

import children
import fuzz
from children import Task


def test_some_inputs_of_every_cheap_kind(tmp_path):
    tasks = fuzz.chosen(["pictures", "archives", "texts", "model_files"], 100, seed=1)
    outcomes = list(children.try_all(tasks, tmp_path))
    wrong = [outcome for outcome in outcomes if outcome.what not in ("result", "refusal")]
    assert not wrong, fuzz.table(outcomes) + wrong[0].said
    for what in ("result", "refusal"):  # neither all too hard nor all too easy
        assert sum(outcome.what == what for outcome in outcomes) > 20
    kept = {path.name.partition("_")[0] for path in tmp_path.iterdir()}
    assert kept == {"sound"}


def test_an_input_depends_on_its_seed_alone(tmp_path):
    for folder in ("a", "b"):
        list(children.try_all([Task("texts", 5, 3)], tmp_path / folder, keep=True))
    first, again = (
        next((tmp_path / folder / "texts_5").glob("*.json")).read_bytes() for folder in "ab"
    )
    assert first == again


CULPRITS = """
    import os, signal, sys, time
    from pathlib import Path
    import numpy as np

    def prepare(folder):
        pass

    def check(folder, status):
        assert not Path(folder, "out", "half").exists()

    def out(name):
        Path("out").mkdir()
        Path("out", name).write_bytes(b"x")
        return 0

    def make(rng, originals):
        Path("given").write_bytes(b"x")
        numbers = {
            "result": lambda: out("whole"),
            "refusal": lambda: print("one line", file=sys.stderr) or 1,
            "untidy": lambda: print("two\\nlines", file=sys.stderr) or 1,
            "colours": lambda: print("\\x1b[31m"),
            "silence": lambda: 1,
            "traceback": lambda: {}["x"],
            "signal": lambda: os.kill(os.getpid(), signal.SIGSEGV),
            "hang": lambda: time.sleep(1000),
            "memory": lambda: np.ones(2**26).sum() and 0,
            "half": lambda: out("half"),
            "leftover": lambda: out(".x.tmp"),
            "beside": lambda: out("whole") or print("no", file=sys.stderr) or 1,
            "stray": lambda: Path("stray").write_bytes(b"x") and 0,
            "overwritten": lambda: Path("given").write_bytes(b"y") and 0,
        }
        return numbers[list(numbers)[int(Path.cwd().name.rpartition("_")[2])]]
"""
EXPECTED = (
    *("result", "refusal", "untidy", "untidy", "untidy", "traceback", "signal", "hang", "memory"),
    *["half-written"] * 5,
)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is Linux's")
def test_every_fault_is_noticed_and_the_next_input_tried(tmp_path, monkeypatch):
    package = tmp_path / "culprits"
    package.mkdir()
    (package / "all.py").write_text(textwrap.dedent(CULPRITS))
    monkeypatch.syspath_prepend(tmp_path)
    tasks = [Task("all", number) for number in range(len(EXPECTED))]
    outcomes = list(
        children.try_all(
            tasks, tmp_path / "work", seconds=5.0, memory=400 << 20, package="culprits"
        )
    )
    assert tuple(outcome.what for outcome in outcomes) == EXPECTED
    said = {outcome.what: outcome.said for outcome in outcomes}
    assert "exit code -11" in said["signal"]
    assert "KeyError: 'x'" in said["traceback"]
    assert fuzz.table(outcomes).splitlines()[-1].split()[:3] == ["all", "14", "1"]
