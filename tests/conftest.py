"""Shared by all tests: quiet TensorFlow, fixed seeds, golden files, and small students.

What takes long to make is made once a session. Fixtures that hand out networks give a new copy
each time, so a test may change what it gets.
"""

import functools
import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Golden = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """golden("skt_loss") -> the arrays of tests/golden/skt_loss.npz."""
    folder = Path(__file__).parent / "golden"

    def load(name: str) -> Golden:
        with np.load(folder / f"{name}.npz") as file:
            return {key: file[key] for key in file.files}

    return load


@pytest.fixture(scope="session")
def repacked() -> Callable[[bytes, Callable[[Any], None]], bytes]:
    """repacked(content, change): a .tflite file after `change(model)`, to break one promise."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def repack(content: bytes, change: Callable[[Any], None]) -> bytes:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        change(model)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    return repack


SIZES = {
    "edsr_mobile": {"blocks": 2, "features": 8},
    "edsr_nano": {"blocks": 2, "features": 8},
    "rdn": {"blocks": 2, "features": 8, "layers": 3, "growth": 8},
}


@pytest.fixture(scope="session")
def images():
    """(4, 24, 24, 3) float32 in [0, 255]: smooth, so that neighbours resemble each other."""
    noise = np.random.default_rng(8).uniform(0, 255, (4, 6, 6, 3))
    return np.repeat(np.repeat(noise, 4, axis=1), 4, axis=2).astype(np.float32)


@pytest.fixture(scope="session")
def student(images):
    """student("edsr_mobile", scale=2, bits=8, ...): calibrated, with random float weights.

    `headroom` widens the body's ranges; below 1 more is clipped there.
    """
    import keras

    from pams_tf import QuantizationRecipe, models
    from pams_tf.quantization import calibrate, quantizers

    @functools.cache
    def weights(name, scale, overrides, recipe):
        """Of a calibrated student; calibration and its graphs take longest."""
        keras.utils.set_random_seed(9)
        teacher = models.build(name, scale, **dict(overrides))
        network = models.with_recipe(teacher, recipe)
        calibrate(network, teacher, [images])
        return network.get_weights()

    def make(name="edsr_mobile", scale=2, overrides=None, headroom=1.0, **fields):
        size = {**SIZES[name], **(overrides or {})}
        recipe = QuantizationRecipe(**fields)
        network = models.build(name, scale, recipe, **size)
        network.set_weights(weights(name, scale, tuple(size.items()), recipe))
        for quantizer in quantizers(network) if headroom != 1.0 else ():
            if quantizer.calibration == "ema":
                ends = {key: headroom * value for key, value in quantizer.range.items()}
                quantizer.restore_range(ends)
        return network

    return make


@pytest.fixture(scope="session")
def tensors_of():
    """tensors_of(content, image uint8) -> [(details, codes)] of int8 tensors, and the output.

    With xnnpack=False the runtime's own kernels compute, in fixed point.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    def run(content, image, xnnpack=True):
        kernels = (
            OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        interpreter = Interpreter(
            model_content=content,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=kernels,
            num_threads=1,
        )
        interpreter.allocate_tensors()
        (source,) = interpreter.get_input_details()
        (target,) = interpreter.get_output_details()
        zero = source["quantization"][1]
        codes = (image[None].astype(np.int16) + zero).astype(source["dtype"])
        interpreter.set_tensor(source["index"], codes)
        interpreter.invoke()
        tensors = [
            (details, interpreter.get_tensor(details["index"]).copy())
            for details in interpreter.get_tensor_details()
            if details["dtype"] == np.int8
        ]
        output = interpreter.get_tensor(target["index"])[0].astype(int) - target["quantization"][1]
        return tensors, output

    return run


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Two pictures of other sizes, with their halves as LR images."""
    from pams_tf.data import datasets
    from pams_tf.data.images import write_image

    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(6)
    for name, shape in {"a": (10, 14), "b": (12, 9)}.items():
        coarse = rng.integers(0, 256, (*shape, 3), np.uint8)
        write_image(folder / f"{name}.png", coarse.repeat(4, 0).repeat(4, 1))
    return datasets.folder(folder, 2)


@pytest.fixture(scope="session")
def affine_network():
    """Keras: float32 (n, h, w, 3) -> GAIN * x + OFFSET at twice the size."""
    import keras
    import tensorflow as tf
    from affine import KERNEL, OFFSET

    class Repeat(keras.layers.Layer):
        def call(self, x):
            return tf.nn.depth_to_space(x, 2)

        def compute_output_shape(self, shape):
            return (shape[0], None, None, shape[3] // 4)

    image = keras.Input((None, None, 3))
    convolution = keras.layers.Conv2D(12, 1)
    network = keras.Model(image, Repeat()(convolution(image)))
    convolution.set_weights([KERNEL, np.full(12, OFFSET)])
    return network


@pytest.fixture(scope="session")
def tflite():
    """Kind -> the same function as .tflite bytes, made for 6x8 images.

    Kinds: "float32", "int8", "uint8"; "open" is float32 with height and width left open.
    """
    import tensorflow as tf
    from affine import KERNEL, OFFSET

    def convert(height, width, dtype=None) -> bytes:
        @tf.function(input_signature=[tf.TensorSpec((1, height, width, 3), tf.float32)])
        def forward(x):
            return tf.nn.depth_to_space(tf.nn.conv2d(x, KERNEL, 1, "SAME") + OFFSET, 2)

        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [forward.get_concrete_function()], tf.Module()
        )
        if dtype is not None:
            ramp = np.linspace(0, 255, height * width * 3, dtype=np.float32)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: [[ramp.reshape(1, height, width, 3)]]
            converter.inference_input_type = converter.inference_output_type = dtype
        return converter.convert()

    return {
        "float32": convert(6, 8),
        "int8": convert(6, 8, tf.int8),
        "uint8": convert(6, 8, tf.uint8),
        "open": convert(None, None),
    }


@pytest.fixture(scope="session")
def photo():
    """(height, width) -> a seeded random uint8 image with every extreme in it."""

    def make(height: int, width: int) -> np.ndarray:
        image = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
        image[0, 0], image[-1, -1] = 0, 255
        return image

    return make


@pytest.fixture(autouse=True)
def _seeded() -> None:
    import keras

    keras.utils.set_random_seed(20201123)


@pytest.fixture(autouse=True, scope="module")
def _garbage_is_looked_at_once() -> Iterator[None]:
    """TensorFlow never forgets a custom gradient, nor the graph around it.

    Without this every collection walks through all graphs of all tests before.
    """
    yield
    gc.collect()
    gc.freeze()
