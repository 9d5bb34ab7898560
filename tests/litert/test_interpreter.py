"""Upscalers against NumPy on networks that do a known thing, and what they refuse."""

import os
import subprocess
import sys

import numpy as np
import pytest
from affine import GAIN, OFFSET, affine_x2

from pams_tf.errors import InputError
from pams_tf.evaluation.upscaler import keras_function, keras_upscale, tflite_upscale
from pams_tf.litert.interpreter import ImageInterpreter, to_image


def _rounded(values: np.ndarray) -> np.ndarray:
    """Python's own rounding: half to even; then clipped."""
    flat = [min(255, max(0, round(float(value)))) for value in values.ravel()]
    return np.array(flat, np.uint8).reshape(values.shape)


def test_to_image_rounds_half_to_even_and_clips():
    values = np.array([-0.6, 0.5, 1.5, 2.5, 254.5, 255.4, 300.0])
    assert to_image(values).tolist() == [0, 0, 2, 2, 254, 255, 255]
    assert to_image(values).dtype == np.uint8


def test_what_is_no_number_is_no_pixel(tflite, repacked):
    broken = keras_function(lambda images, training: images / 0)
    with pytest.raises(InputError, match="no numbers"):
        broken(np.zeros((3, 4, 3), np.uint8))

    def break_bias(model):
        graph = model.subgraphs[0]
        bias = next(t for t in graph.tensors if list(t.shape) == [12])
        model.buffers[bias.buffer].data = np.full(12, np.nan, np.float32).view(np.uint8)

    upscale = tflite_upscale(repacked(tflite["float32"], break_bias))
    with pytest.raises(InputError, match="no numbers"):
        upscale(np.zeros((6, 8, 3), np.uint8))


@pytest.mark.parametrize("size", [(6, 8), (5, 9), (1, 1)])
def test_keras_upscaler_is_the_network_rounded(affine_network, photo, size):
    image = photo(*size)
    result = keras_upscale(affine_network)(image)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, _rounded(affine_x2(image)))


def test_keras_upscaler_traces_once_for_all_sizes(photo):
    traces = []

    def network(images, training):
        traces.append(training)
        return images

    upscaler = keras_upscale(network)
    for size in ((4, 6), (5, 7), (4, 6)):
        np.testing.assert_array_equal(upscaler(photo(*size)), photo(*size))
    assert traces == [False]


@pytest.mark.parametrize("kind", ["float32", "open"])
def test_float_tflite_is_the_network_rounded(tflite, photo, kind):
    upscaler = tflite_upscale(tflite[kind], num_threads=1)
    for size in ((6, 8), (5, 9), (12, 3), (6, 8)):
        image = photo(*size)
        np.testing.assert_array_equal(upscaler(image), _rounded(affine_x2(image)))


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_integer_tflite_is_the_network_to_one_step(tflite, photo, kind):
    # The output covers GAIN * 255 in 255 codes, so one code is GAIN grey levels.
    upscaler = tflite_upscale(tflite[kind], num_threads=1)
    for size in ((6, 8), (5, 9)):
        image = photo(*size)
        result = upscaler(image)
        exact = np.clip(affine_x2(image), 0, 255)
        assert result.dtype == np.uint8
        assert np.abs(result - exact).max() <= GAIN / 2 + 0.5 + 1e-3
        # Codes are not merely near: both ends of the range are reached.
        assert result.min() == 0
        assert result.max() == 255


@pytest.mark.parametrize(("kind", "lowest"), [("int8", -128), ("uint8", 0)])
def test_integer_files_get_pixels_as_codes(tflite, kind, lowest):
    interpreter = ImageInterpreter(tflite[kind])
    scale, zero_point = interpreter.input["quantization"]
    assert interpreter.input["dtype"] == np.dtype(kind)
    assert scale == pytest.approx(1.0)
    assert zero_point == lowest
    assert interpreter.output["quantization"][0] == pytest.approx(GAIN)
    black = np.zeros((6, 8, 3), np.uint8)
    interpreter.set_image(black)
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.image(), _rounded(np.clip(affine_x2(black), 0, 255)))
    assert OFFSET < 0  # black is below the range of an image, so that clipping was tested


def test_the_graph_is_allocated_only_when_the_size_changes(tflite, photo, monkeypatch):
    from ai_edge_litert.interpreter import Interpreter

    resized = []
    resize = Interpreter.resize_tensor_input

    def spy(self, index, shape, *rest):
        resized.append(tuple(shape))
        return resize(self, index, shape, *rest)

    monkeypatch.setattr(Interpreter, "resize_tensor_input", spy)
    upscaler = tflite_upscale(tflite["int8"])
    for size in ((6, 8), (6, 8), (4, 4), (4, 4), (6, 8)):
        assert upscaler(photo(*size)).shape == (2 * size[0], 2 * size[1], 3)
    assert resized == [(1, 4, 4, 3), (1, 6, 8, 3)]


@pytest.mark.parametrize("length", [0, 3, 200, -100, -1])
def test_a_truncated_file_is_named(tflite, tmp_path, length):
    path = tmp_path / "half.tflite"
    path.write_bytes(tflite["int8"][:length])
    with pytest.raises(InputError, match=r"half\.tflite.*again"):
        tflite_upscale(path)
    with pytest.raises(InputError, match=r"^the file: .*again"):
        tflite_upscale(tflite["int8"][:length])


def test_foreign_and_missing_files_are_named(tmp_path):
    picture = tmp_path / "picture.tflite"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    with pytest.raises(InputError, match=r"picture\.tflite: not a TensorFlow Lite file"):
        tflite_upscale(picture)
    with pytest.raises(InputError, match=r"gone\.tflite: cannot be read"):
        tflite_upscale(tmp_path / "gone.tflite")


def test_a_file_that_leaves_the_number_of_images_open_takes_one(photo):
    import tensorflow as tf

    spec = tf.TensorSpec((None, None, None, 3), tf.float32)  # as Keras models are converted
    concrete = tf.function(lambda x: x + 1.0).get_concrete_function(spec)
    upscaler = tflite_upscale(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())
    for size in ((6, 8), (5, 9)):
        image = np.minimum(photo(*size), 254)
        np.testing.assert_array_equal(upscaler(image), image + 1)


def test_litert_says_nothing_after_a_file_that_it_refuses(tflite, repacked, tmp_path):
    """It announces its delegate with the first file for which it makes one."""

    def of_the_future(model):
        model.operatorCodes[0].version = 99

    (tmp_path / "new.tflite").write_bytes(repacked(tflite["uint8"], of_the_future))
    (tmp_path / "good.tflite").write_bytes(tflite["uint8"])
    script = (
        "from pams_tf.litert.interpreter import ImageInterpreter\n"
        "for name in ('new', 'good'):\n"
        "    try:\n"
        "        print(ImageInterpreter(f'{name}.tflite').scale)\n"
        "    except ValueError as error:\n"
        "        print(error)\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    refused, scale = child.stdout.splitlines()
    assert refused.startswith("new.tflite cannot be run")
    assert (scale, child.stderr) == ("2", "")


def test_a_network_that_takes_no_picture_is_refused():
    import tensorflow as tf

    def convert(function, *shapes) -> bytes:
        specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
        concrete = tf.function(function, input_signature=specs).get_concrete_function()
        return tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()

    with pytest.raises(InputError, match=r"input of shape \(1, 10\).*\(1, h, w, 3\)"):
        tflite_upscale(convert(lambda x: x + 1.0, (1, 10)))
    with pytest.raises(InputError, match=r"output of shape \(1, 4, 4\)"):
        tflite_upscale(convert(lambda x: tf.reduce_sum(x, -1), (1, 4, 4, 3)))
    with pytest.raises(InputError, match="2 input tensors"):
        tflite_upscale(convert(lambda x, y: x + y, (1, 4, 4, 3), (1, 4, 4, 3)))


def test_a_graph_of_one_size_says_so_and_goes_on_with_its_own(photo):
    import tensorflow as tf

    offsets = np.arange(48, dtype=np.float32).reshape(1, 4, 4, 3)

    @tf.function(input_signature=[tf.TensorSpec((1, 4, 4, 3), tf.float32)])
    def forward(x):
        return x + offsets

    converter = tf.lite.TFLiteConverter.from_concrete_functions([forward.get_concrete_function()])
    upscaler = tflite_upscale(converter.convert())
    own, other = photo(4, 4), photo(5, 4)
    for _ in range(2):
        np.testing.assert_array_equal(upscaler(own), _rounded(own + offsets[0]))
        with pytest.raises(InputError, match=r"takes 4x4, too small for tiles of an image of 5x4"):
            upscaler(other)


def test_a_graph_that_fails_when_run_is_named(tflite, photo, tmp_path, monkeypatch):
    from ai_edge_litert.interpreter import Interpreter

    def fail(self):
        raise RuntimeError("variable != nullptr was not true.\nNode 42 (READ_VARIABLE) failed.")

    path = tmp_path / "net.tflite"
    path.write_bytes(tflite["float32"])
    upscaler = tflite_upscale(path)
    monkeypatch.setattr(Interpreter, "invoke", fail)
    with pytest.raises(
        InputError, match=r"net\.tflite fails when run \(variable .*export it again"
    ):
        upscaler(photo(6, 8))
