"""pams-inspect-tflite: what it counts is what was built, and a broken promise shows."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from pams_tf import QuantizationRecipe, models
from pams_tf.commands import inspect_tflite
from pams_tf.export.converter import convert
from pams_tf.export.variants import convert_float
from pams_tf.litert.summary import inspect

HEIGHT, WIDTH, FEATURES = 6, 10, 4
PIXELS = HEIGHT * WIDTH


def run(*arguments):
    return inspect_tflite.main(["inspect_tflite.py", *map(str, arguments)])


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(5)
    recipe = QuantizationRecipe(scope="all")
    network = models.build("edsr_mobile", 2, recipe, blocks=1, features=FEATURES)
    for index, layer in enumerate(network.layers):
        if hasattr(layer, "alpha"):
            layer.alpha.assign(100.0 + index)
    return network


@pytest.fixture(scope="module")
def content(network):
    return convert(network, (HEIGHT, WIDTH))


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def test_what_is_in_a_file(network, content, capsys):
    Path("x.tflite").write_bytes(content)
    assert run("--tflite=x.tflite", "--json=x.json") == 0
    report = json.loads(Path("x.json").read_text())
    assert report["file"] == "x.tflite"
    assert report["bytes"] == len(content) == sum(report["parts"].values())
    kernels = [layer.kernel.value for layer in network.layers if hasattr(layer, "kernel")]
    head = network.get_layer("head").kernel.value
    # The head stands twice in the file; nine more weights take the mean off.
    weights = sum(int(np.prod(kernel.shape)) for kernel in [*kernels, head])
    assert report["parts"]["kernels"] == weights + 9
    # The tail works on four times the pixels.
    tail = int(np.prod(network.get_layer("tail").kernel.shape))
    assert report["macs"] == PIXELS * (weights + 9 + 3 * tail)
    for operator in report["operators"]:
        for site in operator["sites"]:
            assert operator["alpha"] == float(network.get_layer(site).alpha)
            assert operator["scale"] == pytest.approx(operator["alpha"] / 127)
    named = {site for operator in report["operators"] for site in operator["sites"]}
    assert named == {layer.name for layer in network.layers if hasattr(layer, "alpha")}
    assert [check["kept"] for check in report["checks"]] == [True, True]
    assert report["about"]["recipe"] == network.recipe.to_dict()
    out = capsys.readouterr().out
    assert "edsr_mobile x2, blocks 1, features 4" in out
    assert "block_0_relu" in out
    assert "kept: every alpha is a scale" in out


def test_memory_is_the_largest_step(content):
    """The last convolution: its input, the shuffled features, beside the two edges."""
    shuffle_in, shuffle_out = PIXELS * 4 * FEATURES, 4 * PIXELS * FEATURES
    edges = PIXELS * 3 + 4 * PIXELS * 3
    assert inspect(content).activation_bytes == shuffle_in + shuffle_out + edges


def test_an_older_or_foreign_file(network, content, repacked, capsys):
    def strip(model):
        model.metadata = []

    Path("old.tflite").write_bytes(repacked(content, strip))
    assert run("--tflite=old.tflite", "--nooperators") == 0
    out = capsys.readouterr().out
    assert "no metadata of pams_tf: the file is older" in out
    assert "unknown: every alpha is a scale" in out
    Path("float.tflite").write_bytes(convert_float(network, (HEIGHT, WIDTH)))
    assert run("--tflite=float.tflite", "--json=f.json") == 1
    assert "float.tflite: the file is not fully integer: tensor" in capsys.readouterr().err
    assert json.loads(Path("f.json").read_text())["checks"][0]["kept"] is False
    assert run("--tflite=float.tflite", "--nochecks") == 0
    assert "BROKEN: only integers" in capsys.readouterr().out


def test_a_lost_alpha(network, content, repacked, capsys):
    scale = np.float32(network.get_layer("block_0_relu").alpha) / np.float32(127)

    def change(model):
        for tensor in model.subgraphs[0].tensors:
            if tensor.quantization is not None and tensor.quantization.scale is not None:
                scales = np.asarray(tensor.quantization.scale, np.float32)
                tensor.quantization.scale = np.where(scales == scale, scales * 2, scales)

    Path("x.tflite").write_bytes(repacked(content, change))
    assert run("--tflite=x.tflite") == 1
    assert "has no tensor with the scale" in capsys.readouterr().err


def test_int4_constants_are_read(content, repacked):
    """Two codes a byte, the first one low."""
    from pams_tf.litert.flatbuffer import read_file as read

    def pack(model):
        (tensor,) = (t for t in model.subgraphs[0].tensors if list(t.shape) == [3, 1, 1, 3])
        tensor.type = schema.TensorType.INT4
        tensor.shape = [1, 1, 1, 5]
        model.buffers[tensor.buffer].data = np.array([0x7F, 0x18, 0x0C], np.uint8)

    (tensor,) = (t for t in read(repacked(content, pack)).tensors if t.dtype == "int4")
    np.testing.assert_array_equal(tensor.codes().ravel(), [-1, 7, -8, 1, -4])
    assert tensor.bytes == 3


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "tflite"),
        (("x.tflite",), 2, "tflite"),
        (("--tflite=none.tflite",), 1, "none.tflite: cannot be read"),
        (("--tflite=photo.tflite",), 1, "photo.tflite: not a TensorFlow Lite file"),
        (("--tflite=cut.tflite",), 1, "cut.tflite: truncated or corrupt"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, status, message, content, capsys):
    Path("photo.tflite").write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    Path("cut.tflite").write_bytes(content[: len(content) // 3])
    assert run(*arguments) == status
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
