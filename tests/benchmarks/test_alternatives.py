"""The comparison with files that need no training: its statistics, and what it says without it."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "benchmarks/alternatives.py"


@pytest.fixture(scope="module")
def alternatives():
    spec = importlib.util.spec_from_file_location("alternatives", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def images(values):
    return [{"name": str(index), "psnr": value} for index, value in enumerate(values)]


def test_differences_are_paired(alternatives):
    rng = np.random.default_rng(4)
    ours = rng.uniform(25, 40, 30)
    theirs = ours + rng.normal(0.1, 0.02, 30)
    mean, error = alternatives.paired_difference(images(ours), images(theirs))
    assert mean == pytest.approx(np.mean(theirs - ours))
    assert error == pytest.approx(np.std(theirs - ours, ddof=1) / np.sqrt(30))


def test_one_image_has_no_standard_error(alternatives):
    mean, error = alternatives.paired_difference(images([30.0]), images([31.0]))
    assert mean == 1.0
    assert np.isnan(error)


def test_without_googles_quantizer_it_says_how_to_get_it(alternatives, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "litert_quantizer", None)
    assert alternatives.main(["alternatives.py", "--names", "edsr_mobile_x2"]) != 0
    assert "pip install -e '.[alternatives]'" in capsys.readouterr().err


@pytest.mark.parametrize("bits", [8, 4])
def test_what_is_only_calibrated_is_an_integer_file_of_that_recipe(alternatives, bits):
    from pams_tf import models
    from pams_tf.litert import metadata

    alternatives.FLAGS(["alternatives", "--names=tiny"])
    content = alternatives.calibrated(models.build("edsr_nano", 2, blocks=1, features=4), bits)
    about = metadata.read(content)
    assert (about["recipe"]["bits"], about["recipe"]["scope"]) == (bits, "all")


def test_an_unknown_way_is_named(alternatives, capsys):
    assert alternatives.main(["alternatives", "--names=edsr_mobile_x4", "--ways=best"]) == 1
    assert "unknown ways best" in capsys.readouterr().err
