"""Importing released weights: the permutation, every error at once, .pt files."""

import sys
import types

import numpy as np
import pytest

from pams_tf import InputError, QuantizationRecipe, models
from pams_tf.models.torch_weights import load_released


@pytest.fixture
def weights(golden):
    data = golden("edsr_float_x2")
    return {k.removeprefix("weights/"): v for k, v in data.items() if k.startswith("weights/")}


@pytest.fixture
def network():
    return models.build("edsr_baseline", 2, blocks=2, features=8)


def test_every_problem_is_reported_at_once_and_nothing_changes(weights, network):
    before = [np.array(variable) for variable in network.variables]
    del weights["head.0.bias"], weights["body.1.body.0.weight"]
    weights["stranger.weight"] = np.zeros(3, np.float32)
    weights["tail.1.weight"] = np.zeros((3, 8, 5, 5), np.float32)
    with pytest.raises(InputError) as caught:
        load_released(network, weights)
    message = str(caught.value)
    assert "missing: head.0.bias, body.1.body.0.weight" in message
    assert "unknown: stranger.weight" in message
    assert "misshapen: tail.1.weight [3, 8, 5, 5] instead of [3, 8, 3, 3]" in message
    assert "edsr_baseline x2" in message
    assert "\n" not in message
    for variable, old in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)


def test_weights_of_another_size(weights):
    with pytest.raises(InputError, match=r"missing: .*body\.15"):
        load_released(models.build("edsr_baseline", 2), weights)


def test_foreign_mean_is_noticed(weights, network):
    weights["sub_mean.bias"] = np.array([-0.4488, -0.4371, -0.4040], np.float32)
    with pytest.raises(InputError, match=r"sub_mean\.bias is .*DIV2K's mean"):
        load_released(network, weights)


def test_float_weights_lack_the_alphas_of_a_student(weights):
    student = models.build("edsr_baseline", 2, QuantizationRecipe(), blocks=2, features=8)
    with pytest.raises(InputError, match=r"missing: .*body\.0\.quant_act1\.alpha"):
        load_released(student, weights)


def test_a_wider_scope_has_ranges_no_released_file_holds(golden):
    data = golden("edsr_pams_official_bits8")
    weights = {k.removeprefix("weights/"): v for k, v in data.items() if k.startswith("weights/")}
    student = models.build(
        "edsr_baseline", 2, QuantizationRecipe(scope="all"), blocks=2, features=8
    )
    with pytest.raises(InputError, match=r"missing: body_input\.alpha"):
        load_released(student, weights)


def test_pt_file(weights, network, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch, the optional extra, is not installed")
    path = tmp_path / "weights.pt"
    torch.save({key: torch.from_numpy(value) for key, value in weights.items()}, path)
    twin = models.build("edsr_baseline", 2, blocks=2, features=8)
    load_released(network, weights)
    load_released(twin, path)
    for ours, theirs in zip(network.variables, twin.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"weights\.pt: not a PyTorch checkpoint"):
        load_released(network, path)


def test_pt_file_is_read_without_executing_it(network, tmp_path, monkeypatch):
    """Without PyTorch at hand: a stand-in that records how it was asked to load."""
    asked = {}

    def load(path, **options):
        asked.update(options)
        return [1, 2, 3]

    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(load=load))
    (tmp_path / "list.pt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"list\.pt: holds no state_dict"):
        load_released(network, tmp_path / "list.pt")
    assert asked["weights_only"] is True


def test_missing_pytorch_says_what_to_install(network, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "weights.pt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"pip install 'pams_tf\[torch-weights\]'"):
        load_released(network, tmp_path / "weights.pt")


def test_missing_file(network, tmp_path):
    with pytest.raises(InputError, match=r"none\.pt: no such file"):
        load_released(network, tmp_path / "none.pt")
