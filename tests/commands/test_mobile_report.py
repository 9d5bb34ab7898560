"""pams-mobile-report, as a user types it: table, plot, and bad files that stop nothing."""

import copy
import json

import pytest
from PIL import Image

from pams_tf.commands import mobile_report


@pytest.fixture
def results(tmp_path):
    """A folder with results of two devices."""
    folder = tmp_path / "results"
    folder.mkdir()
    for index, (name, p50) in enumerate((("Phone A", 30.0), ("Laptop B", 12.5))):
        entry = {
            "format": "pams_tf benchmark result",
            "version": 1,
            "date": "2026-01-02T03:04:05.000Z",
            "device": {"name": name},
            "model": {"file": "edsr_8bit.tflite", "recipe": {"bits": 8}, "input": [1, 64, 64, 3]},
            "accelerator": {"actual": "wasm", "fully_accelerated": True, "threads": 1},
            "cold_ms": {"model": 1, "runtime": 2, "compile": 3, "first_run": 4},
            "latency_ms": {
                "count": 9, "mean": p50, "deviation": 1, "p50": p50, "p90": p50, "p99": 2 * p50,
            },
            "frames_per_second": 1000 / p50,
            "memory_bytes": {"wasm": 1_000_000},
            "check": {"status": "equal", "comparison": {"share": 0}},
            "valid": True,
        }  # fmt: skip
        (folder / f"{index}.json").write_text(json.dumps(copy.deepcopy(entry)))
    return folder


def run(*arguments):
    return mobile_report.main(["mobile_report.py", *map(str, arguments)])


def test_two_devices_in_one_table_and_plot(results, tmp_path, capsys):
    out = tmp_path / "report"
    machine = tmp_path / "report.json"
    assert run(f"--results={results}", f"--out={out}", f"--json={machine}") == 0
    printed = capsys.readouterr().out
    assert printed.index("Laptop B") < printed.index("Phone A")
    assert "12.5" in printed
    table = (out / "report.md").read_text()
    assert table.count("\n") == 4
    assert "| Laptop B | edsr_8bit | 8 | 64x64 | wasm | 12.5 |" in table
    assert Image.open(out / "report.png").width > 500
    report = json.loads(machine.read_text())
    assert [result["p50"] for result in report["results"]] == [12.5, 30.0]
    assert report["skipped"] == []


def test_bad_files_are_named_and_skipped_and_the_status_tells(results, tmp_path, capsys):
    (results / "broken.json").write_text("{")
    out, machine = tmp_path / "report", tmp_path / "report.json"
    assert run(f"--results={results}", f"--out={out}", f"--json={machine}") == 1
    captured = capsys.readouterr()
    assert "broken.json: not readable JSON" in captured.err
    assert "skipped 1 of the files" in captured.err
    assert "Phone A" in captured.out
    assert (out / "report.png").is_file()
    assert json.loads(machine.read_text())["skipped"] == [str(results / "broken.json")]


def test_nothing_usable_is_an_error_in_one_line(tmp_path, capsys):
    (tmp_path / "npm.json").write_text('{"name": "npm"}')
    assert run(f"--results={tmp_path}", f"--out={tmp_path / 'o'}") == 1
    assert "is a result of the benchmark app" in capsys.readouterr().err
    assert not (tmp_path / "o" / "report.md").exists()
    assert run(f"--results={tmp_path / 'absent'}", f"--out={tmp_path / 'o'}") == 1
    assert "no such file or folder" in capsys.readouterr().err
