"""Target "npu": without DEPTH_TO_SPACE, and every code the same."""

from collections import Counter

import numpy as np
import pytest

from pams_tf import InputError
from pams_tf.export import convert, inspect
from pams_tf.quantization import QuantConv2D

SIZE = (16, 20)


@pytest.fixture
def biased(student):
    """A student whose biases differ from channel to channel, as trained ones do."""

    def make(*arguments, **settings):
        network = student(*arguments, **settings)
        rng = np.random.default_rng(4)
        for layer in network.layers:
            if isinstance(layer, QuantConv2D):
                layer.bias.assign(rng.normal(0, 8, layer.bias.shape))
        return network

    return make


def picture():
    coarse = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)


@pytest.mark.parametrize(("bits", "per_channel"), [(8, False), (8, True), (4, True)])
@pytest.mark.parametrize(
    ("name", "scale"), [("edsr_mobile", 2), ("edsr_mobile", 3), ("edsr_mobile", 4), ("rdn", 4)]
)
def test_every_code_is_that_of_the_cpu_file(biased, tensors_of, name, scale, per_channel, bits):
    network = biased(name, scale=scale, scope="all", bits=bits, per_channel=per_channel)
    cpu, npu = (convert(network, SIZE, target=target) for target in ("cpu", "npu"))
    _, expected = tensors_of(cpu, picture())
    tensors, image = tensors_of(npu, picture())
    assert image.shape == (16 * scale, 20 * scale, 3)
    assert len(np.unique(image)) > 50
    np.testing.assert_array_equal(image, expected)
    shuffled = [array for details, array in tensors if array.shape == (1, *image.shape[:2], 8)]
    assert any(len(np.unique(array)) > 2 for array in shuffled)
    assert "DEPTH_TO_SPACE" in inspect(cpu).operators
    assert set(inspect(npu).operators) <= {
        "CONV_2D", "ADD", "CONCATENATION", "RESHAPE", "QUANTIZE", "MINIMUM", "MAXIMUM",
    }  # fmt: skip


def test_a_student_of_the_body(biased, images, tensors_of):
    network = biased(scale=4, scope="body")
    (_, expected), (_, image) = (
        tensors_of(convert(network, SIZE, [images], target=target), picture())
        for target in ("cpu", "npu")
    )
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(("scale", "steps", "parts"), [(2, 1, 2), (3, 1, 3), (4, 2, 2)])
def test_no_convolution_is_computed_twice(student, scale, steps, parts):
    """As many kernels as before, cut in two or three; the uncut ones have fallen away."""
    network = student(scale=scale, scope="all")
    cpu, npu = (inspect(convert(network, SIZE, target=target)) for target in ("cpu", "npu"))
    more = {"CONV_2D": steps * (parts - 1), "CONCATENATION": steps, "RESHAPE": steps}
    assert Counter(npu.operators) - Counter(cpu.operators) == more
    assert Counter(cpu.operators) - Counter(npu.operators) == {"DEPTH_TO_SPACE": steps}

    def kernels(info):
        return sum(np.prod(t.shape) for t in info.tensors if len(t.shape) == 4 and t.shape[0] > 1)

    assert kernels(npu) == kernels(cpu)


def test_an_unknown_target(student):
    with pytest.raises(InputError, match="target='tpu' is not possible; choose cpu or npu"):
        convert(student(scope="all"), SIZE, target="tpu")
