"""Tiny networks whose output is known without running them."""

import numpy as np
import pytest
from affine import GAIN, OFFSET

# Output channel (i*2 + j)*3 + c of depth_to_space lands on pixel (i, j) of channel c.
KERNEL = GAIN * np.tile(np.eye(3, dtype=np.float32), 4).reshape(1, 1, 3, 12)


@pytest.fixture(scope="session")
def affine_network():
    """Keras: float32 (n, h, w, 3) -> GAIN * x + OFFSET at twice the size."""
    import keras
    import tensorflow as tf

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
