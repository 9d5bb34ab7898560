"""What a file says of itself survives in it, and nothing else in the file changes."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from pams_tf import InputError, __version__
from pams_tf.evaluation.upscaler import tflite_upscale
from pams_tf.export.converter import convert
from pams_tf.export.variants import convert_float
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert.metadata import finish, read
from pams_tf.quantization import quantizers

FIELDS = {
    "preset": "net",
    "scale": 2,
    "sites": {"there": {"alpha": 2.0, "bits": 8, "scale": 2 / 127}},
}


@pytest.fixture(scope="module")
def network(student):
    return student(scope="all")


@pytest.fixture(scope="module")
def content(network):
    return convert(network, (8, 12))


def test_a_converted_file_says_what_it_is(network, content):
    fields = read(content)
    assert fields["preset"] == "edsr_mobile"
    assert fields["scale"] == 2
    assert fields["overrides"] == {"blocks": 2, "features": 8}
    assert fields["recipe"] == network.recipe.to_dict()
    assert fields["package"] == f"pams_tf {__version__}"
    assert fields["input"]["shape"] == [1, 8, 12, 3]
    assert fields["output"]["shape"] == [1, 16, 24, 3]
    assert (fields["input"]["scale"], fields["input"]["zero_point"]) == (1.0, 0)
    alphas = {name: np.float32(site["alpha"]) for name, site in fields["sites"].items()}
    assert alphas == {q.name: np.float32(q.alpha) for q in quantizers(network)}


def test_the_recipe_is_the_students_and_the_ranges_are_all(student, images):
    network = student(scope="body", bits=4)
    fields = read(convert(network, (8, 8), [images]))
    assert fields["recipe"]["scope"] == "body"
    assert {q.name for q in quantizers(network)} < set(fields["sites"])
    assert fields["sites"]["block_0_relu"]["bits"] == 4
    assert fields["sites"]["head_output"]["bits"] == 8


def test_embedding_changes_no_tensor_and_no_result(content, repacked):
    def strip(model):
        model.metadata = [entry for entry in model.metadata if entry.name != b"pams_tf"]

    without = repacked(content, strip)
    assert read(without) is None
    again = finish(without, {**FIELDS, "text": "größer"})
    assert read(again) == {**FIELDS, "text": "größer"}
    before, after = read_file(without), read_file(again)
    assert after.tensors == before.tensors
    assert after.graph == before.graph
    assert set(after.metadata) - set(before.metadata) == {"pams_tf"}
    picture = np.random.default_rng(1).integers(0, 256, (8, 12, 3), np.uint8)
    np.testing.assert_array_equal(tflite_upscale(again)(picture), tflite_upscale(content)(picture))


def test_embedding_again_replaces(content):
    replaced = finish(content, {**FIELDS, "run": "second"})
    assert read(replaced)["run"] == "second"
    model = schema.ModelT.InitFromPackedBuf(replaced, 0)
    assert [entry.name for entry in model.metadata].count(b"pams_tf") == 1


def test_constants_are_aligned(content):
    start = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    model = schema.Model.GetRootAs(content, 0)
    offsets = [
        model.Buffers(i).DataAsNumpy().__array_interface__["data"][0] - start
        for i in range(model.BuffersLength())
        if model.Buffers(i).DataLength()
    ]
    assert len(offsets) > 10
    assert {offset % 16 for offset in offsets} == {0}


def test_a_file_without_it(student):
    assert read(convert_float(student(), (8, 8))) is None


@pytest.mark.parametrize(
    "fields", [{}, {"sites": 3}, {"sites": {"a": {}}}, {"sites": {"a": {"alpha": "x"}}}]
)
def test_foreign_metadata_of_the_same_name(content, fields):
    with pytest.raises(InputError, match="has no 'sites' with their alpha and scale"):
        read(finish(content, {"preset": "net", "scale": 2, **fields}))


@pytest.mark.parametrize("recipe", [{"bits": "many"}, {"bits": 8, "colour": "red"}])
def test_a_recipe_that_is_none(content, recipe):
    with pytest.raises(InputError, match="the recipe in the file's 'pams_tf' metadata: "):
        read(finish(content, {**FIELDS, "recipe": recipe}))


@pytest.mark.parametrize("text", [b"{not json", b"[" * 100_000, b'{"a":' * 100_000])
def test_broken_files(content, repacked, text):
    def scribble(model):
        (entry,) = (entry for entry in model.metadata if entry.name == b"pams_tf")
        model.buffers[entry.buffer].data = np.frombuffer(text, np.uint8)

    with pytest.raises(InputError, match="not readable JSON"):
        read(repacked(content, scribble))
    with pytest.raises(InputError, match="not a TensorFlow Lite file"):
        read(b"\x89PNG" + bytes(50))
    with pytest.raises(InputError, match="truncated or corrupt"):
        finish(content[: len(content) // 3], FIELDS)
