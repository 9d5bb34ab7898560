"""The compression of the zoo's float weights."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from pams_tf import models, zoo


@pytest.fixture(scope="module")
def build_zoo():
    path = Path(__file__).parents[2] / "benchmarks/build_zoo.py"
    spec = importlib.util.spec_from_file_location("build_zoo", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_compression_loses_nothing_and_is_smaller(build_zoo, tmp_path):
    network = models.load("edsr_nano_x3")
    path = tmp_path / "again.keras"
    models.save(network, path)
    before = path.stat().st_size
    build_zoo.compress(path)
    assert path.stat().st_size < 0.9 * before
    for ours, theirs in zip(models.load(path).variables, network.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    once = path.stat().st_size
    build_zoo.compress(path)
    assert path.stat().st_size == pytest.approx(once, rel=0.01)


def test_the_zoos_weights_are_compressed(build_zoo, tmp_path):
    path = shutil.copy(zoo.weights("edsr_mobile_x2"), tmp_path)
    build_zoo.compress(Path(path))
    size = zoo.weights("edsr_mobile_x2").stat().st_size
    assert size == pytest.approx(Path(path).stat().st_size, rel=0.01)
