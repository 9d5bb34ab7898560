"""What benchmarks/few_bits.py measures and how its table reads."""

import importlib.util
import json
from pathlib import Path

import pytest

from pams_tf import QuantizationRecipe, models

PATH = Path(__file__).parents[2] / "benchmarks/few_bits.py"


@pytest.fixture(scope="module")
def few_bits():
    spec = importlib.util.spec_from_file_location("few_bits", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_gains_are_over_the_papers_setting_with_the_same_seed(few_bits):
    found = {
        "net x2 | float": {"A": [33.0, 35.0], "B": [30.0]},
        "net x2 | 4 | paper | 1 | 9": {"A": [30.0, 32.0], "B": [28.0]},
        "net x2 | 4 | paper | 2 | 9": {"A": [30.0, 34.0], "B": [28.2]},
        "net x2 | 4 | unsigned | 1 | 9": {"A": [31.0, 32.0], "B": [28.1]},
        "net x2 | 4 | unsigned | 2 | 9": {"A": [31.0, 34.2], "B": [28.4]},
        "net x2 | 2 | paper | 1 | 9": {"A": [20.0, 22.0], "B": [18.0]},
        "net x2 | 2 | unsigned | 1 | 9": {"A": [19.0, 22.0], "B": [18.0]},
        "net x2 | 2 | all | 1 | 9": {"A": [25.0, 27.0], "B": [20.25]},
    }
    assert few_bits.tables(found) == [
        "net x2, A / B, 9 steps; float 34.000 / 30.000",
        "",
        "| | 4 bits | 2 bits |",
        "|---|---|---|",
        "| paper | 31.500 ± 0.707 / 28.100 ± 0.141 | 21.000 / 18.000 |",
        "| unsigned | +0.550 ± 0.071 / +0.150 ± 0.071 | -0.500 / +0.000 |",
        "| all |  | +5.000 / +2.250 |",
    ]


def test_each_option_is_a_row_of_its_own_and_most_are_in_all(few_bits):
    for name in (*few_bits.OPTIONS, *few_bits.FURTHER):
        assert name in few_bits.ROWS
    recipe, settings = few_bits.ROWS["all"]
    best = QuantizationRecipe.best(4)
    assert QuantizationRecipe(bits=4, **recipe) == best
    assert {**best.best_start, "alpha_rate": "relative"} == settings


def test_a_figure_is_measured_once(few_bits, tmp_path, capsys):
    teacher = models.build("plain_small", 3, convolutions=1, features=4)
    models.save(teacher, tmp_path / "tiny.keras")
    results = tmp_path / "found.json"
    command = ["few_bits", f"--teacher={tmp_path / 'tiny.keras'}", f"--results={results}"]
    command += ["--steps=1", "--patch_size=16", "--batch_size=2", "--options=paper,overflow"]
    assert few_bits.main(command) == 0
    first = json.loads(results.read_text())
    assert [key.split(" | ")[1:3] for key in first] == [
        ["float"],
        ["4", "paper"],
        ["4", "overflow"],
    ]
    assert all(len(figures["sample"]) > 1 for figures in first.values())
    assert "| overflow | " in results.with_suffix(".md").read_text()
    results.write_text(json.dumps({key: {"sample": [1.0]} for key in first}))
    assert few_bits.main(command) == 0
    assert set(json.loads(results.read_text())) == set(first)
    assert "float 1.000" in capsys.readouterr().out
