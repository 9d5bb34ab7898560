"""The recipe: frozen, validated, to and from JSON."""

import dataclasses
import json

import pytest

from pams_tf import InputError, QuantizationRecipe


def test_round_trip(tmp_path):
    recipe = QuantizationRecipe(bits=4, scope="all", per_channel=True, alpha_gradient="rounding")
    recipe.save(tmp_path / "recipe.json")
    assert QuantizationRecipe.load(tmp_path / "recipe.json") == recipe
    assert json.loads((tmp_path / "recipe.json").read_text())["bits"] == 4


def test_bits_of_single_layers_round_trip_and_are_the_recipes_own(tmp_path):
    given = {"head": 6, "block_0_relu": 8}
    recipe = QuantizationRecipe(bits=4, layer_bits=given)
    given["head"] = 2
    recipe.save(tmp_path / "recipe.json")
    assert QuantizationRecipe.load(tmp_path / "recipe.json") == recipe
    assert recipe.layer_bits == {"head": 6, "block_0_relu": 8}
    assert recipe.bits_of("head", body=False) == 6
    assert (recipe.bits_of("tail", body=False), recipe.bits_of("body", body=True)) == (8, 4)
    assert recipe.fits_int8
    assert not recipe.replace(layer_bits={"head": 16}).fits_int8
    assert hash(recipe) == hash(recipe.replace())


def test_the_best_recipe_is_that_of_its_bits_and_method():
    best = QuantizationRecipe.best(bits=4, scope="all", equalize=False)
    assert (best.alpha_gradient, best.per_channel, best.unsigned) == ("rounding", True, True)
    assert (best.scope, best.equalize) == ("all", False)
    assert QuantizationRecipe.best().alpha_gradient == "eq3"
    assert not QuantizationRecipe.best(bits=4, method="pact").unsigned
    assert best.best_start == {"initial_range": "error", "initial_weights": "fitted"}
    dorefa = QuantizationRecipe.best(bits=4, method="dorefa")
    assert dorefa.best_start["initial_weights"] == "teacher"


def test_absent_fields_take_their_default():
    assert QuantizationRecipe.from_dict({"bits": 6}) == QuantizationRecipe(bits=6)


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        QuantizationRecipe().bits = 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bits": 1}, "bits=1 .*2, 3, 4"),
        ({"bits": 9}, "bits=9 "),
        ({"bits": 8.0}, r"bits=8\.0 "),
        ({"bits": True}, "bits=True "),
        ({"bits": "8"}, "bits='8' "),
        ({"head_tail_bits": 0}, "head_tail_bits=0 "),
        ({"method": "magic"}, "method='magic' .*'pams'"),
        ({"scope": "head"}, "scope='head' .*'body', 'all'"),
        ({"per_channel": 1}, "per_channel=1 "),
        ({"unsigned": 1}, "unsigned=1 "),
        ({"unsigned": True, "method": "pact"}, "unsigned=True is for method='pams'; 'pact' has"),
        ({"alpha_gradient": "lsq"}, "alpha_gradient='lsq' .*'eq3', 'rounding'"),
        ({"weight_range": "clip"}, "weight_range='clip' .*'maximum', 'learned'"),
        ({"weight_range": "learned", "method": "dorefa"}, "not for method='dorefa'"),
        ({"asymmetric": True, "method": "tflite"}, "asymmetric=True is for method='pams'"),
        ({"layer_bits": ["head"]}, r"layer_bits=\['head'\] is not possible; give a mapping"),
        ({"layer_bits": {"head": 9}}, r"layer_bits\['head'\]=9 "),
        ({"layer_bits": {8: 8}}, "layer_bits has the name 8"),
    ],
)
def test_values_outside_the_range(fields, message):
    with pytest.raises(InputError, match=message):
        QuantizationRecipe(**fields)


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "recipe.json"
    with pytest.raises(InputError, match=r"recipe\.json: no such recipe file"):
        QuantizationRecipe.load(path)
    path.write_text('{"bits": 8, "bit": 4}')
    with pytest.raises(InputError, match=r"recipe\.json: unknown key 'bit'; a recipe has method"):
        QuantizationRecipe.load(path)
    path.write_text('{"bits": 8')
    with pytest.raises(InputError, match=r"recipe\.json: not readable JSON"):
        QuantizationRecipe.load(path)
    path.write_text("[8]")
    with pytest.raises(InputError, match=r"recipe\.json: expected a JSON object"):
        QuantizationRecipe.load(path)
    path.write_text('{"bits": 99}')
    with pytest.raises(InputError, match=r"recipe\.json: bits=99 "):
        QuantizationRecipe.load(path)
