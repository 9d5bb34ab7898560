"""Target "npu": without DEPTH_TO_SPACE, and every code the same."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from pams_tf import InputError
from pams_tf.export.constants import before_depth_to_space
from pams_tf.export.converter import convert
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert.receptive_field import receptive_field_radius
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
    ("name", "scale"),
    [("edsr_mobile", 2), ("edsr_mobile", 3), ("edsr_mobile", 4), ("edsr_nano", 3), ("rdn", 4)],
)
def test_every_code_is_that_of_the_cpu_file(biased, tensors_of, name, scale, per_channel, bits):
    network = biased(name, scale=scale, scope="all", bits=bits, per_channel=per_channel)
    cpu = convert(network, SIZE)
    assert "DEPTH_TO_SPACE" in read_file(cpu).operators
    _, expected = tensors_of(cpu, picture())
    assert expected.shape == (16 * scale, 20 * scale, 3)
    assert len(np.unique(expected)) > 50
    for target in ("npu", "ethos-u85"):
        npu = convert(network, SIZE, target=target)
        _, image = tensors_of(npu, picture())
        np.testing.assert_array_equal(image, expected)
        assert set(read_file(npu).operators) <= {
            "CONV_2D", "ADD", "MUL", "CONCATENATION", "RESHAPE", "QUANTIZE", "MINIMUM", "MAXIMUM",
        }  # fmt: skip


def test_a_student_of_the_body(biased, images, tensors_of):
    network = biased(scale=4, scope="body")
    expected, *others = (
        tensors_of(convert(network, SIZE, [images], target=target), picture())[1]
        for target in ("cpu", "npu", "ethos-u85")
    )
    for image in others:
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(("scale", "steps", "parts"), [(2, 1, 2), (3, 1, 3), (4, 2, 2)])
def test_no_convolution_is_computed_twice(student, scale, steps, parts):
    """As many kernels as before, cut in two or three; the uncut ones have fallen away."""
    network = student(scale=scale, scope="all")
    cpu, npu = (
        read_file(convert(network, SIZE, target=target, io_dtype="int8"))
        for target in ("cpu", "npu")
    )
    more = {"CONV_2D": steps * (parts - 1), "CONCATENATION": steps, "RESHAPE": steps}
    assert Counter(npu.operators) - Counter(cpu.operators) == more
    assert Counter(cpu.operators) - Counter(npu.operators) == {"DEPTH_TO_SPACE": steps}

    def kernels(info):
        return sum(np.prod(t.shape) for t in info.tensors if len(t.shape) == 4 and t.shape[0] > 1)

    assert kernels(npu) == kernels(cpu)


@pytest.mark.parametrize(("scale", "size"), [(2, 3), (3, 3), (2, 5), (4, 1)])
def test_a_convolution_before_depth_to_space(scale, size):
    rng = np.random.default_rng(7)
    x = rng.normal(size=(1, 6, 5, scale**2 * 4)).astype(np.float32)
    kernel = rng.normal(size=(size, size, 4, 3)).astype(np.float32)
    behind = tf.nn.conv2d(tf.nn.depth_to_space(x, scale), kernel, 1, "SAME")
    before = tf.nn.conv2d(x, before_depth_to_space(kernel, scale), 1, "SAME")
    np.testing.assert_allclose(tf.nn.depth_to_space(before, scale), behind, atol=1e-4)


@pytest.mark.parametrize("target", ["npu", "ethos-u85"])
def test_an_npu_takes_one_size(student, target):
    with pytest.raises(InputError, match="takes images of one size"):
        convert(student(scope="all"), None, target=target)


def test_tiles_need_the_same_halo(student):
    network = student(scale=4, scope="all")
    cpu, *others = (convert(network, SIZE, target=t) for t in ("cpu", "npu", "ethos-u85"))
    for npu in others:
        assert receptive_field_radius(npu) == receptive_field_radius(cpu)


def test_an_unknown_target(student):
    with pytest.raises(
        InputError, match="target='tpu' is not possible; choose one of cpu, npu, ethos-u85"
    ):
        convert(student(scope="all"), SIZE, target="tpu")
