"""Small students with plausible ranges, and LiteRT with every tensor kept."""

import keras
import numpy as np
import pytest

from pams_tf import QuantizationRecipe, models
from pams_tf.data import datasets
from pams_tf.data.images import write_image
from pams_tf.quantization.calibration import calibrate
from pams_tf.models.transfer import transfer_weights
from pams_tf.quantization import quantizers

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

    def make(name="edsr_mobile", scale=2, overrides=None, headroom=1.0, **recipe):
        keras.utils.set_random_seed(9)
        size = {**SIZES[name], **(overrides or {})}
        teacher = models.build(name, scale, **size)
        network = models.build(name, scale, QuantizationRecipe(**recipe), **size)
        transfer_weights(teacher, network)
        calibrate(network, teacher, [images])
        for quantizer in quantizers(network):
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
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(6)
    for name, shape in {"a": (10, 14), "b": (12, 9)}.items():
        coarse = rng.integers(0, 256, (*shape, 3), np.uint8)
        write_image(folder / f"{name}.png", coarse.repeat(4, 0).repeat(4, 1))
    return datasets.folder(folder, 2)
