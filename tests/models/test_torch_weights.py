"""Importing released weights: every error at once, and nothing changed by it."""

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
