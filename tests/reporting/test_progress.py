"""What is said while work goes on and there is no terminal."""

import threading

import pytest

from pams_tf.reporting import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves by hand: clock(5) is five seconds later."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def later(seconds):
        now[0] += seconds

    return later


def test_a_line_with_the_losses_every_ten_seconds(clock, capsys):
    with progress.StepProgress("run", 1000, 0, visible=True) as bar:
        bar.validated(0, 31.0)
        for step in range(1, 31):
            clock(3)
            bar.update(step, {"loss": 2.5}.items())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 30 // 4
    assert lines[1] == "step 4 of 1000: loss 2.5, 50 min left"


def test_lines_become_rarer_in_a_long_run(clock, capsys):
    with progress.StepProgress("run", 100_000, 0, visible=True) as bar:
        for step in range(1, 24 * 360):
            clock(10)
            bar.update(step, {"loss": 2.5}.items())
    assert 60 < len(capsys.readouterr().out.splitlines()) < 300


def test_nothing_is_said_of_an_invisible_run(clock, capsys):
    with progress.StepProgress("run", 1000, 0, visible=False) as bar:
        clock(60)
        bar.update(1, {"loss": 2.5}.items())
        bar.validated(1, 31.0)
    assert capsys.readouterr().out == ""


def test_long_work_gives_signs_of_life(monkeypatch):
    lines = []
    spoken = threading.Event()

    def say(line):
        lines.append(line)
        spoken.set()

    monkeypatch.setattr(progress, "say", say)
    monkeypatch.setattr(progress, "_EVERY", -2.0)
    monkeypatch.setattr(progress, "_CHECK", 0.001)
    monkeypatch.setattr(progress, "_last_line", 0.0)
    with progress.signs_of_life():
        assert spoken.wait(60)
    assert lines[0] == "     at work for 0 s"
