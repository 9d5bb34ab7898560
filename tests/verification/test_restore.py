"""A student from its own integer file: the same network, which can be exported in another form."""

import keras
import numpy as np
import pytest
from biased import biased

from pams_tf import InputError, QuantizationRecipe, convert, from_preset, verify, zoo
from pams_tf.evaluation.upscaler import tflite_upscale
from pams_tf.export.variants import convert_float
from pams_tf.quantization import QuantConv2D, quantizers
from pams_tf.verification.restore import restore_student


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("edsr_mobile", {"bits": 8}),
        ("edsr_mobile", {"bits": 8, "per_channel": True, "overrides": {"res_scale": 0.5}}),
        ("edsr_mobile", {"bits": 4, "unsigned": True}),
        ("edsr_nano", {"bits": 8, "method": "tflite", "scale": 3}),
        ("rdn", {"bits": 8, "method": "pact"}),
        (
            "edsr_mobile",
            {
                "bits": 4,
                "weight_range": "learned",
                "asymmetric": True,
                "layer_bits": {"block_0_conv_0": 8},
                "overrides": {"res_scale": 0.5},
            },
        ),
        ("rdn", {"bits": 3, "weight_range": "learned", "per_channel": True}),
    ],
)
def test_a_restored_student_is_the_network_of_the_file(student, pairs, name, settings):
    settings = {"scope": "all", **settings}
    network = biased(student(name, **settings))
    content = convert(network, (16, 20))
    restored = restore_student(content)
    assert restored.recipe == network.recipe
    for ours, theirs in zip(quantizers(restored), quantizers(network), strict=True):
        assert ours.range == theirs.range
    for layer in network.layers:
        if isinstance(layer, QuantConv2D):
            codes, again = (
                np.rint(np.asarray(one.quantized_kernel()) / np.asarray(one.step()))
                for one in (layer, restored.get_layer(layer.name))
            )
            np.testing.assert_array_equal(again, codes)
    if settings.get("scale", 2) == 2 and name != "rdn":
        parity = verify(restored, content, pairs, num_threads=1)
        assert parity.failures() == []
    image = np.random.default_rng(2).integers(0, 256, (4, 5, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    again = tflite_upscale(convert(restored, (16, 20)))(image)
    np.testing.assert_array_equal(again, tflite_upscale(content)(image))


@pytest.mark.parametrize("name", ["edsr_mobile_x2_8bit", "edsr_mobile_x2_4bit"])
def test_the_zoos_students_can_be_exported_at_another_size_and_for_another_target(name):
    student = from_preset(name)
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    shipped = tflite_upscale(zoo.FOLDER / f"{name}.tflite")(image)
    for options in ({}, {"target": "npu"}):
        again = tflite_upscale(convert(student, image.shape[:2], **options))(image)
        np.testing.assert_array_equal(again, shipped)


def test_files_that_tell_too_little(student, images, repacked):
    network = student(scope="all")
    content = convert(network, (8, 8))

    def strip(model):
        model.metadata = []

    for file, message in (
        (repacked(content, strip), "does not say which network it holds"),
        (convert_float(network, (8, 8)), "does not say which network it holds"),
        (convert(network, (8, 8), target="npu"), "a file for an NPU; give the cpu file"),
        (convert(student(scope="all", overrides={"batch_norm": True}), (8, 8)), "is folded into"),
        (content[:500], "truncated or corrupt"),
    ):
        with pytest.raises(InputError, match=message):
            restore_student(file)


def test_a_student_of_the_body_comes_back_with_every_range(student, images):
    network = student(scope="body")
    restored = restore_student(convert(network, (8, 8), images))
    assert restored.recipe == QuantizationRecipe(scope="all")
    assert restored.calibrated
    assert keras.config.dtype_policy().name == "float32"
