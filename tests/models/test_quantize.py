"""From a float network to a calibrated student, whatever form the images have."""

import keras
import numpy as np
import pytest

from pams_tf import (
    InputError,
    QuantizationRecipe,
    from_preset,
    list_presets,
    load,
    models,
    quantize,
)
from pams_tf.data.graphics import flat_colours
from pams_tf.data.images import write_image
from pams_tf.quantization import quantizers

SIZE = {"blocks": 1, "features": 4}


@pytest.fixture
def network():
    keras.utils.set_random_seed(2)
    return models.build("edsr_mobile", 2, **SIZE)


def ranges(student):
    return {q.name: float(q.alpha) for q in quantizers(student)}


@pytest.mark.parametrize("scope", ["body", "all"])
def test_every_image_counts_alike_and_their_order_does_not(network, images, scope):
    recipe = QuantizationRecipe(scope=scope)
    student = quantize(network, recipe, images)
    for quantizer in quantizers(student):
        x = keras.Model(network.inputs[0], network.arriving[quantizer.name])(images)
        maxima = np.abs(np.asarray(x)).max(axis=(1, 2, 3))
        body = quantizer.name.startswith("block")
        expected = maxima.mean() if body else maxima.max()
        np.testing.assert_allclose(float(quantizer.alpha), expected, rtol=1e-5)
    forms = (images[::-1], list(images), [images[:1], images[1:]], images.astype(np.uint8))
    for form in forms[:3]:
        np.testing.assert_allclose(
            list(ranges(quantize(network, recipe, form)).values()),
            list(ranges(student).values()),
            rtol=1e-5,
        )
    assert student.calibrated
    assert ranges(quantize(network, recipe, forms[3])) != {}


def test_a_folder_of_photographs_or_none(network, tmp_path):
    for index in range(3):
        coarse = np.random.default_rng(index).integers(0, 256, (9, 11, 3), np.uint8)
        write_image(tmp_path / f"{index}.png", coarse.repeat(4, 0).repeat(4, 1))
    of_folder = ranges(quantize(network, QuantizationRecipe(), tmp_path))
    built_in = ranges(quantize(network, QuantizationRecipe()))
    assert of_folder.keys() == built_in.keys()
    assert of_folder != built_in


def test_head_and_tail_reach_every_colour(network, tmp_path):
    """Beside photographs, which are grey here; images of the caller's are all that count."""
    grey = np.full((40, 40, 3), 120, np.uint8)
    write_image(tmp_path / "grey.png", grey)
    recipe = QuantizationRecipe(scope="all")
    found, alone = (ranges(quantize(network, recipe, form)) for form in (tmp_path, grey))
    flat = flat_colours().astype(np.float32)
    for quantizer in quantizers(models.with_recipe(network, recipe)):
        x = keras.Model(network.inputs[0], network.arriving[quantizer.name])(flat)
        needed = float(np.abs(np.asarray(x)).max())
        if quantizer.calibration == "maximum":
            assert found[quantizer.name] >= needed * (1 - 1e-6) > alone[quantizer.name]
        else:
            assert found[quantizer.name] < needed  # peaks in the body are trimmed on purpose


def test_the_float_network_stays_as_it_is(network, images):
    before = [np.array(variable.value) for variable in network.variables]
    student = quantize(network, QuantizationRecipe(bits=2), images)
    for variable, old in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable.value, old)
    assert network.recipe is None
    kernel = student.get_layer("block_0_conv_0").kernel
    np.testing.assert_array_equal(kernel.value, network.get_layer("block_0_conv_0").kernel.value)


def test_a_percentile_trims(network, images):
    whole, trimmed = (
        ranges(quantize(network, QuantizationRecipe(), images, percentile=p)) for p in (100, 90)
    )
    assert all(trimmed[name] < whole[name] for name in whole)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "at least one batch"),
        (np.zeros((2, 4, 4, 1)), r"shape \(2, 4, 4, 1\) cannot be used; give LR images"),
        (np.zeros((4, 4)), r"shape \(4, 4\) cannot be used"),
        ("nowhere", "nowhere: no such folder"),
    ],
)
def test_images_that_cannot_be_used(network, images, message):
    with pytest.raises(InputError, match=message):
        quantize(network, QuantizationRecipe(), images)


def test_a_student_is_not_quantized_again(network, images):
    student = quantize(network, QuantizationRecipe(), images)
    with pytest.raises(InputError, match="is already quantized, with 8 bits; give the float"):
        quantize(student, QuantizationRecipe(), images)


@pytest.mark.parametrize("method", ["pams", "pact", "dorefa", "tflite"])
def test_only_what_was_calibrated_counts_as_calibrated(network, images, method):
    recipe = QuantizationRecipe(method=method)
    placeholder = models.build("edsr_mobile", 2, recipe, **SIZE)
    assert not placeholder.calibrated
    assert quantize(network, recipe, images).calibrated
    for quantizer in quantizers(placeholder):
        quantizer.set_range(3.0)  # as random ranges and released files do
    assert placeholder.calibrated
    assert network.calibrated  # a float network has nothing to calibrate


def test_presets_and_their_weights():
    presets = list_presets()
    assert presets["edsr_baseline"].scales == (4,)
    assert presets["edsr_small"].bits == {3: (8,)}
    assert presets["rdn"].scales == ()
    assert presets["edsr_mobile"].size["blocks"] == 5
    network = from_preset("edsr_mobile", 2)
    for variable, other in zip(network.variables, load("edsr_mobile_x2").variables, strict=True):
        np.testing.assert_array_equal(variable.value, other.value)
    fresh = from_preset("edsr_nano", 2, load_weights=False, recipe=QuantizationRecipe(), blocks=1)
    assert (fresh.recipe, fresh.overrides) == (QuantizationRecipe(), {"blocks": 1})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "unet", "scale": 2}, "unknown network 'unet'"),
        ({"preset": "edsr_mobile"}, "the scale of 'edsr_mobile' is missing; give 2, 3 or 4"),
        ({"preset": "edsr_mobile", "scale": 5}, "scale=5"),
        ({"preset": "rdn", "scale": 2}, "no weights ship for rdn_x2 .*load_weights=False"),
        ({"preset": "edsr_nano_x3", "bits": 8}, r"no edsr_nano_x3_8bit\.tflite in the zoo"),
        ({"preset": "edsr_mobile", "scale": 2, "blocks": 3}, "give load_weights=False"),
        ({"preset": "edsr_mobile", "scale": 2, "layers": 3}, "has no setting 'layers'"),
    ],
)
def test_presets_that_are_not_there(arguments, message):
    with pytest.raises(InputError, match=message):
        from_preset(**arguments)


def test_flat_colours_are_searched_and_fitted_beside_photographs(tmp_path):
    """A network that copies its image, and photographs that are grey: colours must survive."""
    keras.utils.set_random_seed(7)
    network = models.build("edsr_mobile", 2, blocks=1, features=6)
    models.start_as_interpolation(network)
    rng = np.random.default_rng(2)
    noise = rng.normal(120, 4, (40, 40, 1)).clip(0, 255).astype(np.uint8).repeat(3, 2)
    write_image(tmp_path / "grey.png", noise)
    recipe = QuantizationRecipe(scope="all", per_channel=True, unsigned=True)
    best = {"initial_range": "error", "initial_weights": "fitted"}
    beside = quantize(network, recipe, tmp_path, **best)
    alone = quantize(network, recipe, noise, **best)
    flat = flat_colours()[:, :16, :16].astype(np.float32)
    exact = network(flat)
    errors = [float(np.abs(student(flat) - exact).max()) for student in (beside, alone)]
    assert errors[0] < 8 < 80 < errors[1], errors
