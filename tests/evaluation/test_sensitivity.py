"""What each tensor costs, against a student in which one range is far too large."""

import json

import pytest

import pams_tf
from pams_tf import models
from pams_tf.commands import sensitivity as command
from pams_tf.data.images import write_image
from pams_tf.errors import InputError
from pams_tf.evaluation.sensitivity import sensitivity
from pams_tf.quantization import quantizers


@pytest.fixture(scope="module")
def student():
    network = models.build("edsr_nano", 3, blocks=1, features=8)
    models.start_as_interpolation(network)
    recipe = pams_tf.QuantizationRecipe(bits=4, scope="all")
    student = pams_tf.quantize(network, recipe)
    wrong = next(q for q in quantizers(student) if q.name == "feature")
    wrong.set_range(float(wrong.alpha) * 30)  # 30 times too coarse at 8 bits, not at 16
    return student


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    for name in ("chelsea", "coffee"):
        write_image(folder / f"{name}.png", pams_tf.sample_images(3)[name][1][:96, :96])
    return folder


def test_the_tensor_that_costs_most_is_the_one_that_is_spoilt(student, small, tmp_path, capsys):
    path, out = tmp_path / "student.keras", tmp_path / "costs.json"
    models.save(student, path)
    recipe = tmp_path / "recipe.json"
    argv = ["sensitivity", f"--model={path}", f"--images={small}", "--top=1", f"--json={out}"]
    assert command.main([*argv, "--raise_most=1", f"--save_recipe={recipe}"]) == 0
    found = json.loads(out.read_text())
    first, second, *_ = costs = found["costs"]
    assert (first["name"], first["kind"]) == ("feature", "activations")
    assert first["loss"] > 3 * second["loss"]
    assert {cost["bits"] for cost in costs} == {4, 8}  # head and tail have 8
    assert {cost["kind"] for cost in costs} == {"weights", "activations"}
    printed = capsys.readouterr().out
    most = next(cost["name"] for cost in costs if cost["bits"] == 4)  # "feature" has 8 already
    assert f"--layer_bits={most}=8\n" in printed
    raised = pams_tf.QuantizationRecipe.load(recipe)
    assert raised == student.recipe.replace(layer_bits={most: 8})
    assert found["recipe"] == raised.to_dict()
    assert "feature" in printed


def test_a_float_network_has_no_costs():
    with pytest.raises(InputError, match="give a calibrated student"):
        sensitivity(models.load("edsr_nano_x3"))
