"""Results of the benchmark app: read, put in order, laid in a table; damaged ones refused."""

import copy
import json

import pytest
from PIL import Image

from pams_tf.errors import InputError
from pams_tf.reporting import device_results
from pams_tf.reporting.plots.devices import device_bars

RESULT = {
    "format": "pams_tf benchmark result",
    "version": 1,
    "id": "a",
    "date": "2026-01-02T03:04:05.000Z",
    "device": {"name": "Phone A, Android 16, Chrome 150"},
    "model": {
        "file": "edsr_mobile_x4_8bit.tflite",
        "recipe": {"method": "pams", "bits": 8},
        "input": [1, 128, 96, 3],
    },
    "accelerator": {
        "requested": "wasm",
        "actual": "wasm",
        "fully_accelerated": True,
        "threads": 1,
    },
    "cold_ms": {"model": 10, "runtime": 200, "compile": 40, "first_run": 50},
    "latency_ms": {
        "count": 90, "mean": 31, "deviation": 2, "min": 28, "p50": 30, "p90": 33, "p95": 34,
        "p99": 36, "max": 40,
    },
    "frames_per_second": 32.3,
    "memory_bytes": {"wasm": 46_800_000, "javascript": None},
    "check": {"status": "equal", "comparison": {"share": 0, "total": 9, "differing": 0}},
    "valid": True,
}  # fmt: skip


def result(**changes):
    """A result with fields changed: result(device__name="B") changes RESULT["device"]["name"]."""
    entry = copy.deepcopy(RESULT)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = entry
        for parent in parents:
            place = place[parent]
        place[last] = value
    return entry


@pytest.fixture
def save(tmp_path):
    def write(content, name="r.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_a_result_becomes_a_row(save):
    (read,) = device_results.read_results(save(RESULT))
    cells = read.cells()
    assert cells["model"] == "edsr_mobile_x4_8bit"
    assert cells["bits"] == "8"
    assert cells["input"] == "96x128"
    assert cells["p50, ms"] == "30.0"
    assert cells["cold start, ms"] == "300"
    assert cells["memory, MB"] == "46.8"
    assert cells["result"] == "equal"
    assert set(cells) == set(device_results.COLUMNS)


@pytest.mark.parametrize(
    ("changes", "column", "text"),
    [
        ({"valid": False, "check__comparison__share": 0.25}, "result", "WRONG"),
        ({"check__comparison": None}, "result", "not checked"),
        ({"check__comparison__share": 0.001}, "result", "equal within rounding"),
        ({"check__comparison__share": 0.001}, "differing codes", "0.100%"),
        ({"model__recipe": None}, "bits", "float"),
        ({"accelerator__threads": 4}, "ran on", "wasm, 4 threads"),
        ({"accelerator__fully_accelerated": False}, "ran on", "wasm, in part"),
        ({"latency_ms__p50": 0.2914}, "p50, ms", "0.291"),
        ({"latency_ms__p50": 12345.6}, "p50, ms", "12,346"),
    ],
)
def test_what_a_reader_has_to_know_is_in_the_row(save, changes, column, text):
    (read,) = device_results.read_results(save(result(**changes)))
    assert read.cells()[column] == text


def test_models_together_fastest_first_wrong_last_duplicates_once(save):
    entries = [
        result(device__name="slow", latency_ms__p50=50),
        result(device__name="wrong", latency_ms__p50=1, valid=False),
        result(device__name="fast", latency_ms__p50=20),
        result(device__name="fast", latency_ms__p50=20),
        result(device__name="other", model__file="a.tflite"),
    ]
    ordered = device_results.in_order(device_results.read_results(save(entries)))
    assert [r.device for r in ordered] == ["other", "fast", "slow", "wrong"]
    tables = device_results.short_rows(ordered)
    assert list(tables) == ["a", "edsr_mobile_x4_8bit"]
    assert [row[0] for row in tables["edsr_mobile_x4_8bit"]] == ["fast", "slow", "wrong"]


def test_the_short_table_fits_into_a_terminal(save):
    entry = result(
        device__name="A phone with a very long name, Android 16, Chrome 150",
        accelerator__threads=8,
        accelerator__fully_accelerated=False,
        check__comparison=None,
        latency_ms__p50=12345.6,
        latency_ms__p99=23456.7,
    )
    ((row,),) = device_results.short_rows(device_results.read_results(save(entry))).values()
    assert row[1:] == ["wasm x8 (part)", "12,346", "23,457", "300", "unchecked"]
    assert sum(map(len, row)) + 3 * len(row) + 1 <= 80


def test_markdown_has_every_column_and_survives_bars_in_names(save):
    ordered = device_results.read_results(save(result(device__name="A | B")))
    head, rule, row = device_results.markdown(ordered).splitlines()
    assert head.count("|") == rule.count("|") == len(device_results.COLUMNS) + 1
    assert "A \\| B" in row


def test_the_plot_grows_with_the_devices(save, tmp_path):
    entries = [result(device__name=f"device {i}", latency_ms__p50=10 + i) for i in range(8)]
    results = device_results.read_results(save([*entries, result(valid=False)]))
    device_bars(tmp_path / "one.png", results[:1])
    device_bars(tmp_path / "nine.png", results)
    one, nine = (Image.open(tmp_path / f"{name}.png") for name in ("one", "nine"))
    assert one.width == nine.width
    assert nine.height > 2 * one.height
    with pytest.raises(InputError, match="no results"):
        device_bars(tmp_path / "none.png", [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable JSON"),
        ("[]", "holds no result"),
        ({"name": "npm"}, "not a result of the benchmark app"),
        ([RESULT, 3], "not a result of the benchmark app"),
        (result(version=2), "version 2; this tool reads 1"),
        (result(latency_ms={}), "damaged result .*p50"),
        (result(model__input=[1, 2]), "damaged result"),
        (result(latency_ms__p50=0), "times that are not above 0"),
        (result(latency_ms__p50="fast"), "damaged result"),
    ],
)
def test_bad_files_are_named(save, content, message):
    path = save(content)
    with pytest.raises(InputError, match=message) as error:
        device_results.read_results(path)
    assert str(path) in str(error.value)


def test_files_are_found_in_folders(save, tmp_path):
    save(RESULT, "b.json")
    save(RESULT, "a.json")
    save("text", "notes.txt")
    found = device_results.find_files([tmp_path, tmp_path / "b.json"])
    assert [path.name for path in found] == ["a.json", "b.json"]
    with pytest.raises(InputError, match="no such file or folder"):
        device_results.find_files([tmp_path / "absent"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no .json file"):
        device_results.find_files([tmp_path / "empty"])
