"""Model cards: what they say is true of the file, and bad input is refused."""

import base64
import hashlib
import json
import zlib

import numpy as np
import pytest

from pams_tf.errors import InputError
from pams_tf.export.converter import convert
from pams_tf.export.variants import convert_float
from pams_tf.litert.card import model_card
from pams_tf.recipe import QuantizationRecipe


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(4).integers(0, 256, (12, 16, 3), np.uint8)


def unpacked(text, dtype):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype)


@pytest.mark.parametrize(("bits", "io_dtype", "zero"), [(8, "int8", -128), (4, "uint8", 0)])
def test_the_reference_is_what_litert_computes(student, tensors_of, picture, bits, io_dtype, zero):
    network = student(bits=bits, scope="all")
    content = convert(network, (12, 16), io_dtype=io_dtype)
    card = model_card(content, "tiny.tflite", picture, made="for a test")
    card = json.loads(json.dumps(card))
    assert (card["name"], card["network"], card["made"]) == ("tiny", "edsr_mobile", "for a test")
    assert card["halo"] == 8

    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    assert card["bytes"] == len(content)
    assert card["scale"] == 2
    assert QuantizationRecipe.from_dict(card["recipe"]) == network.recipe
    assert card["input"] == {
        "shape": [1, 12, 16, 3],
        "dtype": io_dtype,
        "scale": 1.0,
        "zero_point": zero,
    }
    assert card["output"]["shape"] == [1, 24, 32, 3]
    reference = card["reference"]
    assert reference["dtype"] == io_dtype
    np.testing.assert_array_equal(
        unpacked(reference["input"], io_dtype).astype(int) - zero, picture.ravel()
    )
    # All tensors kept, LiteRT computes without XNNPACK; the two round alike to a code.
    _, output = tensors_of(content, picture)
    difference = unpacked(reference["output"], io_dtype).astype(int) - zero - output.ravel()
    assert np.abs(difference).max() <= 2
    assert np.mean(difference != 0) < 0.05


def test_a_float_files_reference_is_image_bytes(student, picture):
    network = student(scope="all")
    card = model_card(convert_float(network, (12, 16)), "tiny.tflite", picture)
    assert card["recipe"] is None
    assert card["output"]["dtype"] == "float32"
    assert card["reference"]["dtype"] == "uint8"
    wanted = unpacked(card["reference"]["output"], np.uint8)
    assert wanted.size == 24 * 32 * 3
    assert wanted.std() > 1


def test_a_picture_of_another_size_is_refused(student):
    content = convert(student(scope="all"), (12, 16))
    with pytest.raises(InputError, match=r"\(8, 8, 3\), but tiny.tflite takes \(12, 16, 3\)"):
        model_card(content, "tiny.tflite", np.zeros((8, 8, 3), np.uint8))


def test_without_a_picture_there_is_no_reference_and_the_size_may_be_open(student, tmp_path):
    network = student(scope="all")
    card = model_card(convert(network, None), "open.tflite")
    assert "reference" not in card
    assert card["input"]["shape"] == [1, -1, -1, 3]
    path = tmp_path / "open.json"
    path.write_text(json.dumps(card))
    assert QuantizationRecipe.load(path) == network.recipe
    path.write_text(json.dumps({**card, "recipe": None}))
    with pytest.raises(InputError, match="card of a float network, which has no recipe"):
        QuantizationRecipe.load(path)
