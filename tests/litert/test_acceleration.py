"""LiteRT's CompiledModel says of a file whether its accelerator took every operator."""

import pytest
from ai_edge_litert.compiled_model import CompiledModel

from pams_tf import inspect
from pams_tf.export.converter import convert

pytestmark = pytest.mark.skipif(
    not hasattr(CompiledModel, "is_fully_accelerated"), reason="this LiteRT does not say it"
)


@pytest.mark.parametrize(
    ("options", "whole"),
    [
        ({}, False),  # uint8: the QUANTIZE at each end stays outside
        ({"io_dtype": "int8"}, True),
        ({"target": "npu"}, True),
        ({"target": "ethos-u85"}, True),
        ({"target": "npu", "io_dtype": "uint8"}, False),
    ],
)
def test_what_the_guide_says_of_the_types_at_the_ends(student, tmp_path, options, whole):
    path = tmp_path / "x2.tflite"
    path.write_bytes(convert(student(scope="all"), (16, 16), **options))
    assert CompiledModel.from_file(str(path)).is_fully_accelerated() is whole
    said = [remark for remark in inspect(path).remarks if "fully accelerated" in remark]
    assert bool(said) is not whole


def test_int4_weights_are_not_taken(student, tmp_path):
    path = tmp_path / "x2.tflite"
    network = student(scope="all", bits=4, overrides={"features": 32})
    path.write_bytes(convert(network, (16, 16), io_dtype="int8", weights="int4"))
    assert not CompiledModel.from_file(str(path)).is_fully_accelerated()
    assert any("int4" in remark for remark in inspect(path).remarks)
