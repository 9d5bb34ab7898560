"""pams-reproduce, as a user types it: from nothing to reports, twice, cut off, and bad input."""

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from PIL import Image

from pams_tf import InputError
from pams_tf.reproduce import command as reproduce
from pams_tf.reproduce import costs, engine
from pams_tf.runs import RunFolder
from pams_tf.training.logs import TrainingLog

TIMED = costs._timed


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("PAMS_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    return reproduce.main(["reproduce.py", *map(str, arguments)])


def test_smoke_from_nothing_to_a_table(tiny, monkeypatch, capsys):
    """With an estimate from real steps; a second time nothing is repeated."""
    monkeypatch.setattr(costs, "_timed", TIMED)
    wanted = ("--table=6", "--sets=sample", "--budget=smoke", "--json=made.json")
    assert run(*wanted) == 0
    printed = capsys.readouterr().out
    assert "edsr_mobile x4, pams, 8 bits, 0 of 2 steps, missing, about" in printed
    assert "an estimate from steps timed on this machine" in printed
    assert printed.index("an estimate") < printed.index("[1/5] ")
    made = json.loads(Path("made.json").read_text())
    assert made["failed"] == {}
    assert made["plan"]["seconds"] > 0
    assert made["files"] == ["reports/smoke/table_6.md", "reports/smoke/table_6.json"]
    table = json.loads(Path("reports/smoke/table_6.json").read_text())
    ours = [c["ours"] for c in table["sections"][0]["cells"] if c["column"] == "sample"]
    assert len(ours) == 2
    assert all(abs(values["PSNR"]) < 1 for values in ours)

    runs = {path: path.stat().st_mtime_ns for path in Path("runs/reproduce").rglob("*.keras")}
    assert len(runs) == 5
    before = Path("reports/smoke/table_6.md").read_bytes()
    shutil.rmtree("reports")
    assert run(*wanted) == 0
    assert "Nothing to train and nothing to measure" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in runs} == runs
    assert Path("reports/smoke/table_6.md").read_bytes() == before


@pytest.mark.slow
def test_smoke_makes_everything():
    assert run("--table=all", "--figure=all", "--budget=smoke") == 0
    for number in range(1, 7):
        assert Path(f"reports/smoke/table_{number}.md").is_file()
    for number in range(2, 6):
        assert list(Path("reports/smoke").glob(f"figure_{number}*.png"))


def test_figures_on_a_given_set_that_do_not_say_where_folders_lie(tiny, tmp_path):
    sets = tmp_path / "sets"
    data = (f"--data={sets / 'Set5'}", f"--benchmark_dir={sets}", "--sets=Set5")
    assert run("--figure=2,5", *data) == 0
    reports = tmp_path / "reports" / "smoke"
    for name in ("2", "5_edsr_8", "5_edsr_4"):
        assert Image.open(reports / f"figure_{name}.png").width == 1600
    page = (reports / "figure_2.md").read_text()
    assert "![figure_2](figure_2.png)" in page
    assert "--data Set5 --benchmark_dir sets --sets Set5" in page
    for file in reports.glob("*.md"):
        assert str(tmp_path) not in file.read_text()


@pytest.mark.slow
def test_a_figure_of_pictures_and_the_table_that_shares_its_runs(tiny, tmp_path):
    sets = tmp_path / "sets"
    data = (f"--data={sets / 'Set5'}", f"--benchmark_dir={sets}", "--sets=Set5")
    assert run("--figure=3,4", *data) == 0
    reports = tmp_path / "reports" / "smoke"
    for name in ("3", "4_edsr"):
        assert Image.open(reports / f"figure_{name}.png").width == 1600
    page = (reports / "figure_3.md").read_text()
    assert "![figure_3](figure_3.png)" in page
    assert "Set5/" in page
    assert "--data Set5 --benchmark_dir sets --sets Set5" in page
    for file in reports.glob("*.md"):
        assert str(tmp_path) not in file.read_text()
    assert run("--table=2", *data) == 0  # Figure 3 has trained half of it
    assert str(tmp_path) not in (reports / "table_2.json").read_text()


def test_what_was_cut_off_continues_and_what_is_done_is_not_repeated(tiny, monkeypatch, capsys):
    finetune, started = engine.distil, []
    step_done = TrainingLog.step_done

    def counted(settings, recipe, folder, **kwargs):
        started.append(folder.path.name)
        return finetune(settings, recipe, folder, **kwargs)

    def killed(self, losses):
        if len(started) == 3 and self.step == 1:
            raise KeyboardInterrupt
        step_done(self, losses)

    monkeypatch.setattr(engine, "distil", counted)
    monkeypatch.setattr(TrainingLog, "step_done", killed)
    assert run("--table=6") == 130
    assert run("--table=6", "--plan", "--json=plan.json") == 0
    plan = {r["name"]: r for r in json.loads(Path("plan.json").read_text())["plan"]["runs"]}
    assert [entry["state"] for entry in plan.values()] == ["done"] * 3 + ["partial", "missing"]
    assert plan[started[2]]["steps_done"] == 1
    capsys.readouterr()
    assert run("--table=6") == 0
    assert started[3:] == [started[2], list(plan)[-1]]
    assert f"{started[2]}, from step 1 of 2" in capsys.readouterr().out
    with RunFolder("runs/reproduce").lock():  # a report of what is done waits for nobody
        assert run("--table=6") == 0
    log = (Path("runs/reproduce") / started[2] / "log.csv").read_text()
    assert sorted({line.split(",")[0] for line in log.splitlines()}) == ["1", "2", "step"]


def test_one_run_that_fails_leaves_its_cells_empty_and_the_others_whole(tiny, monkeypatch, capsys):
    finetune = engine.distil

    def diverging(settings, recipe, folder, **kwargs):
        if recipe.bits == 4:
            raise InputError("the training has diverged")
        return finetune(settings, recipe, folder, **kwargs)

    monkeypatch.setattr(engine, "distil", diverging)
    assert run("--table=6", "--json=made.json") == 1
    assert "2 of 5 runs have failed: edsr_mobile_x4_pams4_" in capsys.readouterr().err
    made = json.loads(Path("made.json").read_text())
    assert list(made["failed"].values()) == ["the training has diverged"] * 2
    report = json.loads(Path("reports/smoke/table_6.json").read_text())
    cells = [cell for cell in report["sections"][0]["cells"] if cell["column"] == "sample"]
    assert {cell["row"][0]: cell["ours"] is None for cell in cells} == {"8": False, "4": True}
    assert "has failed: the training has diverged" in Path("reports/smoke/table_6.md").read_text()


def test_the_second_of_two_refuses_and_nothing_is_lost(tiny, tmp_path, capsys):
    runs = RunFolder(tmp_path / "runs" / "reproduce")
    with runs.lock():
        assert run("--table=6") == 1
    error = capsys.readouterr().err
    assert "another process is training there" in error
    assert error.count("\n") == 1
    assert not list(runs.path.glob("*/checkpoints"))


def test_a_disk_that_is_too_small_is_said_before_anything_is_trained(tiny, monkeypatch, capsys):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6))
    assert run("--table=6") == 1
    error = capsys.readouterr().err
    assert "0.00 GB free; free some space" in error
    assert error.count("\n") == 1
    assert not list(Path("runs").rglob("*.npz"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to make; give --table 1 to 6, --figure 2 to 5, or all"),
        (("--table=7",), "unknown table '7'; choose from 1, 2, 3, 4, 5, 6, or all"),
        (("--table=2,two",), "unknown table 'two'"),
        (("--table=2,",), "--table=2, has an empty name"),
        (("--figure=1",), "unknown figure '1'; choose from 2, 3, 4, 5, or all"),
        (("--table=2", "--budget=gpu"), "unknown budget 'gpu'; choose one of cpu, paper, smoke"),
        (("--table=2", "--data=absent"), "--data=absent: no such folder"),
        (("--table=2", "--budget=cpu"), "the cpu budget needs --benchmark_dir"),
        (("--table=2", "--benchmark_dir=sets", "--sets=B100"), "no benchmark 'B100'"),
        (("--table=2", "--sets=Manga109"), "unknown set 'Manga109'"),
        (("--table=2", "--budget=cpu", "--benchmark_dir=sets"), "trains 24 runs and needs --data"),
    ],
)
def test_bad_input_is_one_line(tiny, capsys, arguments, message):
    assert run(*arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("runs").exists()
