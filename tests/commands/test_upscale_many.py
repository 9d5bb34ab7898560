"""Many pictures: in several processes, which may die or be stopped, and on several machines."""

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pams_tf import InputError
from pams_tf.commands.upscale import main
from pams_tf.evaluation.batch import Batch, in_parallel
from pams_tf.evaluation.shards import merged, parse_shard

MODEL = "edsr_mobile_x2_8bit"


def command(*arguments):
    return main(["upscale.py", *map(str, arguments)])


def written(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Seven pictures of different sizes in in/, and one that is broken, the third by name."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    rng = np.random.default_rng(7)
    for number, name in enumerate("abdefgh"):
        pixels = rng.integers(0, 256, (5, 4 + number, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        Image.fromarray(pixels).save(f"in/{name}.png")
    Path("in/c.png").write_bytes(b"")


def report(name):
    found = json.loads(Path(name).read_text())
    for entry in found["files"]:
        entry.pop("seconds", None)
        if "output" in entry:
            entry["output"] = Path(entry["output"]).name
    return found


@pytest.mark.parametrize("jobs", [3, None])
def test_several_processes_give_what_one_gives(jobs, capsys):
    options = [f"--model={MODEL}", "--input=in"]
    assert command(*options, "--out=one", "--json=one.json", "--jobs=1") == 1
    alone = capsys.readouterr()
    several = [f"--jobs={jobs}"] if jobs else []  # eight pictures are many
    assert command(*options, "--out=many", "--json=many.json", *several) == 1
    together = capsys.readouterr()
    assert written("one") == written("many")
    assert len(written("one")) == 7
    assert report("one.json") == report("many.json")
    said = [line.split(":")[0] for line in together.out.splitlines()]
    assert sorted(said) == sorted(
        line.split(":")[0].replace("one/", "many/") for line in alone.out.splitlines()
    )
    assert alone.err == together.err
    assert "in/c.png: the file is empty" in together.err


def test_a_keras_network_and_bicubic_in_several_processes(capsys):
    for model in ("edsr_nano_x3", "bicubic"):
        options = [f"--model={model}", "--scale=3", "--input=in/a.png", "--input=in/b.png"]
        for jobs in (1, 2):
            assert command(*options, f"--out={model}{jobs}", f"--jobs={jobs}") == 0
        assert written(f"{model}1") == written(f"{model}2")
        assert "Traceback" not in capsys.readouterr().err


def test_a_process_that_the_system_ends():
    pairs = [(Path(f"in/{name}.png"), Path(f"{name}.png")) for name in "abdefgh" * 3]
    batch = Batch("bicubic", 2, None, 1, "overwrite", frozenset())
    others = set(multiprocessing.active_children())
    work, done = in_parallel(pairs, batch, 2), {}
    with contextlib.closing(work):
        place, entry = next(work)
        done[place] = entry
        for child in set(multiprocessing.active_children()) - others:
            os.kill(child.pid, signal.SIGKILL)
        done.update(work)
    assert sorted(done) == list(range(len(pairs)))
    failed = [entry["error"] for entry in done.values() if "error" in entry]
    assert failed
    for message in failed:
        assert "not done, because the system ended a process" in message
        assert message.startswith("in/")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal there")
def test_ctrl_c_leaves_nothing_half_done():
    many = 500  # so many that the interrupt comes before the last, on a busy machine too
    for number in range(many):
        Path(f"in/{number}.png").write_bytes(Path("in/h.png").read_bytes())
    tool = Path(__file__).parents[2] / "tools" / "upscale.py"
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
    try:
        begun = subprocess.Popen(
            [sys.executable, str(tool), f"--model={MODEL}", "--input=in", "--out=out", "--jobs=2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    begun.stdout.readline()
    begun.send_signal(signal.SIGINT)
    _, errors = begun.communicate(timeout=120)
    assert begun.returncode == 130, errors
    assert errors.splitlines()[-1] == "upscale.py: interrupted"
    assert "Traceback" not in errors
    assert 0 < len(written("out")) < many
    for path in Path("out").iterdir():
        assert path.suffix == ".png"
        Image.open(path).load()


# --- On several machines -------------------------------------------------------------------------


@pytest.fixture
def reports():
    """The reports of three shards, by name, and that of the whole."""
    options = ["--model=bicubic", "--input=in", "--scale=2"]
    for shard in ("1/3", "2/3", "3/3"):
        name = f"{shard[0]}.json"
        status = command(*options, "--out=out", f"--shard={shard}", f"--json={name}")
        assert status == (shard == "3/3")  # it has the third picture, which is broken
    assert command(*options, "--out=whole", "--json=whole.json") == 1
    return ["1.json", "2.json", "3.json"]


def test_shards_make_the_whole(reports, capsys):
    assert written("out") == written("whole")
    assert [len(report(name)["files"]) for name in reports] == [3, 3, 2]
    capsys.readouterr()
    assert command("--json=all.json", "--merge", *reversed(reports)) == 1
    shown = capsys.readouterr()
    assert shown.out == "3 reports: 7 upscaled, 0 skipped\n"
    assert shown.err == "upscale.py: 1 of 8 images could not be upscaled\n"
    assert report("all.json") == report("whole.json")


def test_more_shards_than_pictures():
    for number in range(1, 11):
        status = command(
            "--model=bicubic", "--input=in", "--out=out", f"--shard={number}/10",
            f"--json={number}.json",
        )  # fmt: skip
        assert status == (number == 3)
    assert report("9.json")["files"] == report("10.json")["files"] == []
    names = [f"--merge={number}.json" for number in range(1, 11)]
    assert command("--json=all.json", *names) == 1
    assert len(report("all.json")["files"]) == 8


def test_reports_that_do_not_belong_together(reports):
    first, second, third = (json.loads(Path(name).read_text()) for name in reports)
    for wrong, message in (
        ({"a": first, "b": second}, "no report of shard 3/3; give those of all"),
        ({"a": first}, "no report of shard 2/3, 3/3"),
        ({"a": first, "b": second, "c": second, "d": third}, "c: shard 2/3 is there already"),
        ({"a": first, "b": {**second, "scale": 4}, "c": third}, "b .* its scale is another"),
        ({"a": first, "b": {**second, "shard": "2/4"}}, "b .* its number of shards is another"),
        (
            {"a": {**first, "files": first["files"][1:]}, "b": second, "c": third},
            "different inputs",
        ),
        ({"a": json.loads(Path("whole.json").read_text())}, "a: not a report of .*--shard"),
        ({"a": [1]}, "a: not a report of"),
        ({"a": {**first, "files": [1]}}, "a: not a report of"),
        ({"a": {**first, "shard": "0/3"}}, "a: shard '0/3' is not possible"),
    ):
        with pytest.raises(InputError, match=message):
            merged(wrong)


@pytest.mark.parametrize("text", ["3", "0/2", "3/2", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_shards_that_do_not_exist(text):
    with pytest.raises(InputError, match=r"give I/N, such as 1/4"):
        parse_shard(text)


def test_what_cannot_be_merged(capsys):
    assert command("--merge=none.json") == 1
    Path("bad.json").write_text("{")
    assert command("--merge=bad.json") == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "none.json" in first
    assert "bad.json: not readable JSON" in second


def test_the_guides_job_array(monkeypatch, tmp_path):
    """Its lines, as a shell reads them, in the place of Slurm."""
    guide = Path(__file__).parents[2] / "docs" / "any_size.md"
    array, merge = [
        block.strip() for block in guide.read_text().split("```")[1::2] if "report" in block
    ]
    assert "--array=1-4" in array
    Path("pams-upscale").write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    Path("pams-upscale").chmod(0o755)
    Path("in").rename("photos")

    def words(script, **environment):
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euc", script],
            env={**os.environ, "PATH": path, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return ["bicubic" if word.endswith(".tflite") else word for word in done.stdout.split()]

    for task in "1234":
        flags = words(array, SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_TASK_COUNT="4")
        assert command(*flags) == (task == "3")
    assert command(*words(merge)) == 1
    assert [("error" in entry) for entry in report("report.json")["files"]].index(True) == 2
    assert len(written("enlarged")) == 7
