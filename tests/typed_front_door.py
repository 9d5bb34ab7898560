"""What a type checker sees of the public names; `make lint` checks it, nothing runs it."""

from typing import assert_type

import numpy as np

import pams_tf
from pams_tf.evaluation.benchmark import BenchmarkResult
from pams_tf.evaluation.sensitivity import Sensitivity
from pams_tf.litert.summary import Summary
from pams_tf.models import SuperResolution
from pams_tf.verification.parity import Parity

recipe = pams_tf.QuantizationRecipe(bits=8, scope="all")
network = pams_tf.from_preset("edsr_mobile", 2)
assert_type(network, SuperResolution)
assert_type(pams_tf.quantize(network, recipe), SuperResolution)
assert_type(pams_tf.finetune(network, recipe, "photos"), SuperResolution)
assert_type(pams_tf.convert(network, (180, 320)), bytes)
assert_type(pams_tf.verify(network, "x2.tflite"), Parity)
assert_type(pams_tf.inspect("x2.tflite"), Summary)
assert_type(pams_tf.evaluate("bicubic", "sample", scale=2), BenchmarkResult)
assert_type(pams_tf.sensitivity(network), Sensitivity)
assert_type(pams_tf.load("x2.tflite"), SuperResolution | pams_tf.Upscaler)
assert_type(pams_tf.Upscaler("x2.tflite")(np.zeros((4, 4, 3), np.uint8)), np.ndarray)
assert_type(pams_tf.sample_images(2), dict[str, tuple[np.ndarray, np.ndarray]])
