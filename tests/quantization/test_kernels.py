"""The arithmetic of codes against LiteRT itself: every code of every operator, ties and saturation.

Each operator is a file of its own, on codes that cover all pairs of values where two meet.
"""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pams_tf.export.constants import stored_weights
from pams_tf.export.values import on_grid
from pams_tf.litert.flatbuffer import read_file
from pams_tf.quantization import functional
from pams_tf.quantization.functional import builtin, xnnpack
from pams_tf.quantization.functional.codes import sums_of_products
from pams_tf.quantization.functional.stored import divided, stored_limit, stored_scale

RNG = np.random.default_rng(12)
CODES = np.arange(-128, 128)
SHAPE = (1, 32, 32, 64)  # 256 * 256 codes


def every_pair():
    """Two tensors of codes in which each meets each."""
    a, b = np.meshgrid(CODES, CODES)
    order = RNG.permutation(a.size)
    return [x.ravel()[order].reshape(SHAPE).astype(np.int8) for x in (a, b)]


def scale(value):
    return tf.constant(value, tf.float32)


def file(function, scales, result, shapes=None, zero_points=None, result_zero=0):
    """An int8 file of one operator; scales and zero points of its inputs, and of its result."""
    zero_points = zero_points or [0] * len(scales)
    specs = [
        tf.TensorSpec(shape, tf.float32, f"x{i}")
        for i, shape in enumerate(shapes or [SHAPE] * len(scales))
    ]

    @tf.function(input_signature=specs)
    def graph(*tensors):
        held = [
            on_grid(x, s, zero) for x, s, zero in zip(tensors, scales, zero_points, strict=True)
        ]
        return on_grid(function(*held), result, result_zero)

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def litert(content, tensors, delegated=True):
    """The codes of the file's result; checks whether XNNPACK computed it, unless that is None."""
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.AUTO, num_threads=1
    )
    interpreter.allocate_tensors()
    inputs = sorted(interpreter.get_input_details(), key=lambda details: details["name"])
    for details, codes in zip(inputs, tensors, strict=True):
        interpreter.set_tensor(details["index"], codes)
    interpreter.invoke()
    names = {operator["op_name"] for operator in interpreter._get_ops_details()}
    assert delegated in (None, "DELEGATE" in names), names
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def computed(arithmetic, tensors, zero_points=None, result_zero=0):
    zero_points = zero_points or [0] * len(tensors)
    codes = [
        tf.constant(x.astype(np.float32) - zero)
        for x, zero in zip(tensors, zero_points, strict=True)
    ]
    (exact, whole), _ = arithmetic(*codes)
    np.testing.assert_allclose(exact, whole, atol=0.76)  # rounded twice at most
    return np.clip(whole.numpy() + result_zero, -128, 127)


@pytest.mark.parametrize("dtype", [tf.int32, tf.float64])
@pytest.mark.parametrize("zeros", [(0, 0, 0), (-128, 5, 17)])
@pytest.mark.parametrize(
    "scales",
    [(1.0, 1.0, 2.0), (1.0, 1.0, 1.0), (0.5, 0.25, 1.0), (0.731, 0.0413, 0.517), (3.3, 2.9, 0.07)],
)
def test_add(scales, zeros, dtype):
    a, b = every_pair()
    content = file(tf.add, scales[:2], scales[2], None, zeros[:2], zeros[2])
    arithmetic = xnnpack.addition(*map(scale, scales), dtype)
    found = litert(content, [a, b])
    np.testing.assert_array_equal(found, computed(arithmetic, [a, b], zeros[:2], zeros[2]))
    if scales == (1.0, 1.0, 2.0) and not any(zeros):  # every odd sum is a tie, rounded up
        total = a.astype(int) + b
        np.testing.assert_array_equal(found, (total + 1) >> 1)


@pytest.mark.parametrize("dtype", [tf.int32, tf.float64])
def test_add_beyond_what_xnnpack_takes_is_sound(dtype):
    """Training may pass through ranges that no file could have."""
    a, b = (tf.constant(codes.astype(np.float32)) for codes in every_pair())
    for result, expected in ((2.0**-21, np.sign(a + b) * 2.0**19), (2.0**11, np.zeros(a.shape))):
        (_, whole), _ = xnnpack.addition(scale(1.0), scale(1.0), scale(result), dtype)(a, b)
        clipped = np.clip(whole, -128, 127)
        np.testing.assert_array_equal(clipped, np.clip(expected, -128, 127))


@pytest.mark.parametrize("zeros", [(0, 0, 0), (-128, 5, 17)])
@pytest.mark.parametrize("scales", [(0.5, 0.5, 0.5), (0.731, 0.0413, 0.517), (0.9, 0.8, 0.02)])
def test_mul(scales, zeros):
    a, b = every_pair()
    content = file(tf.multiply, scales[:2], scales[2], None, zeros[:2], zeros[2])
    arithmetic = xnnpack.product(*map(scale, scales))
    expected = computed(arithmetic, [a, b], zeros[:2], zeros[2])
    np.testing.assert_array_equal(litert(content, [a, b]), expected)


@pytest.mark.parametrize("scales", [(1.0, 2.0), (1.0, 0.75), (0.731, 0.517), (0.1, 2.3)])
def test_quantize_in_front_of_a_concatenation(scales):
    a, b = every_pair()
    content = file(
        lambda x, y: tf.concat([x, y], axis=-1), scales, scales[1], zero_points=[3, -7],
        result_zero=-7,
    )  # fmt: skip
    arithmetic = xnnpack.concatenation(
        [xnnpack.conversion(scale(s), scale(scales[1])) for s in scales], [1, 1], [64, 64]
    )
    expected = computed(arithmetic, [a, b], [3, -7], -7)
    found = litert(content, [a, b])
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found[..., 64:], b)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("kind", ["ties", "saturating", "fine"])
def test_conv_2d(per_channel, bits, kind):
    """Sums of every size, a bias, both ends; 4 bits is int4, which XNNPACK leaves alone."""
    n = 2 ** (bits - 1) - 1
    codes = RNG.integers(-n, n + 1, (3, 3, 4, 6)).astype(np.float32)
    codes[0, 0, 0] = n
    steps = {"ties": [0.5] * 6, "saturating": np.linspace(0.05, 1, 6), "fine": [0.001] * 6}
    step = np.asarray(steps[kind] if per_channel else steps[kind][:1], np.float32)
    image, result = (0.5, 64.0) if kind == "ties" else (0.731, 0.517)
    limit = np.asarray(stored_limit(tf.constant(step, tf.float64), 1.0, 0, n))
    kernel_scale = stored_scale(limit, n)
    unit = tf.cast(kernel_scale, tf.float64) * float(np.float32(image))
    bias = RNG.integers(-2000, 2000, 6) * np.asarray(unit)
    x = RNG.integers(-128, 128, (1, 24, 24, 4)).astype(np.int8)

    def convolution(x):
        y = tf.nn.conv2d(x, stored_weights(codes * step, limit, bits), 1, "SAME")
        return tf.nn.bias_add(y, tf.constant(bias, tf.float32))

    content = file(convolution, [image], result, [x.shape])
    sums = sums_of_products(
        lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"),
        tf.constant(x.astype(np.float32)),
        tf.constant(codes * step),
        tf.constant(step),
        tf.constant(bias),
        unit,
        scale(image),
        largest=9 * 4 * n * 128,
    )
    scales = (scale(image), kernel_scale, scale(result))
    if bits == 8:
        arithmetic = xnnpack.requantization(xnnpack.requantization_multiplier(*scales))
    else:
        wide = (tf.cast(x, tf.float64) for x in scales)
        arithmetic = builtin.requantization(xnnpack.requantization_multiplier(*wide))
    (_, whole), _ = arithmetic(sums)
    found = litert(content, [x], delegated=bits == 8)
    np.testing.assert_array_equal(found, np.clip(whole, -128, 127))
    assert {-128, 127} <= set(found.ravel()) if kind == "saturating" else len(np.unique(found)) > 5
    # Independently: int64 sums in NumPy.
    padded = np.pad(x.astype(np.int64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    total = np.einsum("nhwikl,klio->nhwo", windows, codes.astype(np.int64))
    np.testing.assert_array_equal(sums, total + np.rint(bias / np.asarray(unit)))


def test_transpose_conv():
    codes = RNG.integers(-127, 128, (9, 9, 1, 8)).astype(np.float32)
    codes[0, 0] = 127
    limit = np.float32(127 * 0.01)
    x = RNG.integers(-128, 128, (1, 16, 16, 8)).astype(np.int8)

    def upscale(x, kernel):
        return tf.nn.conv2d_transpose(x, kernel, (1, 32, 32, 1), 2, "SAME")

    content = file(
        lambda x: upscale(x, stored_weights(codes * np.float32(0.01), [limit], 8)),
        [0.1], 2.0, [x.shape],
    )  # fmt: skip
    multiplier = xnnpack.requantization_multiplier(scale(0.1), stored_scale(limit), scale(2.0))
    (_, whole), _ = xnnpack.requantization(multiplier)(upscale(x.astype(np.float32), codes))
    np.testing.assert_array_equal(litert(content, [x]), np.clip(whole, -128, 127))


@pytest.mark.parametrize(
    ("source", "result", "slope", "delegated"),
    [
        (0.1, 0.1, 0.1, True),
        (0.1, 0.07, 0.2, True),
        (0.5, 1.0, 0.5, True),
        (1.0, 1 / 128, 0.7, True),
        (1.0, 128.0, 0.5, True),
        (0.731, 10.9, 0.05, False),  # multipliers that XNNPACK does not take
        (0.5, 200.0, 0.5, False),
        (1.0, 1 / 150, 0.013, False),
    ],
)
def test_leaky_relu(source, result, slope, delegated):
    x, _ = every_pair()
    content = file(lambda x: tf.nn.leaky_relu(x, slope), [source], result, zero_points=[-3])
    arithmetic = xnnpack.leaky_relu(slope, scale(source), scale(result))
    expected = computed(arithmetic, [x], [-3])
    np.testing.assert_array_equal(litert(content, [x], delegated), expected)


@pytest.mark.parametrize("source", [0.003, 0.05, 0.4])
@pytest.mark.parametrize(
    ("function", "result", "zero"), [(tf.tanh, 1 / 128, 0), (tf.sigmoid, 1 / 256, -128)]
)
def test_tanh_and_logistic(function, result, zero, source):
    x, _ = every_pair()
    content = file(function, [source], result, zero_points=[9], result_zero=zero)
    arithmetic = xnnpack.table(function, scale(source), scale(result), -137, 118)
    np.testing.assert_array_equal(litert(content, [x]), computed(arithmetic, [x], [9], zero))


@pytest.mark.parametrize("size", [(2, 1), (4, 16), (17, 13), (180, 320)])
@pytest.mark.parametrize(
    ("scales", "zeros"),
    [((0.1, 0.1), (0, 0)), ((0.731, 0.0517), (-128, 17)), ((0.02, 0.093), (-7, -128))],
)
def test_mean(scales, zeros, size):
    """Means of pictures, some of them ties between two codes, of 64 channels each."""
    level = RNG.integers(-60, 60, 64)
    x = np.clip(level + RNG.normal(0, 30, (1, *size, 64)), -128, 127).astype(np.int8)
    content = file(
        lambda x: tf.reduce_mean(x, (1, 2), keepdims=True), scales[:1], scales[1], [x.shape],
        zeros[:1], zeros[1],
    )  # fmt: skip
    arithmetic = xnnpack.mean(*map(scale, scales), *map(scale, zeros))
    expected = computed(arithmetic, [x], zeros[:1], zeros[1])
    np.testing.assert_array_equal(litert(content, [x]), expected)


def test_depthwise_conv_2d():
    """Per channel, as TensorFlow Lite has it."""
    codes = RNG.integers(-127, 128, (3, 3, 6, 1)).astype(np.float32)
    codes[0, 0] = 127
    step = RNG.uniform(0.001, 0.02, 6).astype(np.float32)
    limit = (127 * step).astype(np.float32)
    x = RNG.integers(-128, 128, (1, 16, 16, 6)).astype(np.int8)

    def depthwise(x):
        kernel = stored_weights(np.swapaxes(codes, 2, 3) * step, limit, 8)
        kernel = tf.transpose(kernel, (0, 1, 3, 2))
        return tf.nn.depthwise_conv2d(x, kernel, (1, 1, 1, 1), "SAME")

    sums = tf.nn.depthwise_conv2d(x.astype(np.float32), codes, (1, 1, 1, 1), "SAME")
    multiplier = xnnpack.requantization_multiplier(scale(0.1), stored_scale(limit), scale(0.3))
    (_, whole), _ = xnnpack.requantization(multiplier)(sums)
    found = litert(file(depthwise, [0.1], 0.3, [x.shape]), [x])
    np.testing.assert_array_equal(found, np.clip(whole, -128, 127))
    assert len(np.unique(found)) > 200


@pytest.mark.parametrize("slopes", [(-0.2, 0.5), (0.9, 3.0)])
def test_prelu(slopes):
    """Quantized by the converter itself, so its grids are read from the file."""
    x = RNG.permuted(np.tile(CODES, 64)).reshape(1, 32, 32, 16).astype(np.int8)
    alpha = RNG.uniform(*slopes, (1, 1, 16)).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec(x.shape, tf.float32, "x0")])
    def graph(x):
        return tf.nn.relu(x) + (-alpha) * tf.nn.relu(-x)

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: [[RNG.uniform(-13, 9, x.shape).astype(np.float32)]]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    content = converter.convert()
    info = read_file(content)
    (operator,) = (operator for operator in info.graph if operator.name == "PRELU")
    source, slope, result = (info.tensors[i] for i in (*operator.inputs, operator.outputs[0]))
    codes = slope.codes().astype(np.float32).ravel() - slope.zero_points[0]
    slopes = tf.constant(codes * slope.scales[0])
    prelu = builtin.prelu(*(scale(t.scales[0]) for t in (slope, source, result)))
    expected = computed(
        lambda codes: prelu(codes, slopes), [x], source.zero_points, result.zero_points[0]
    )
    np.testing.assert_array_equal(litert(content, [x], delegated=False), expected)


def test_operators_that_move_codes_move_codes():
    x = RNG.integers(-128, 128, (1, 8, 8, 16)).astype(np.int8)
    content = file(lambda x: tf.nn.depth_to_space(x, 2), [0.1], 0.1, [x.shape])
    found = litert(content, [x], delegated=None)
    np.testing.assert_array_equal(found, tf.nn.depth_to_space(x, 2))

    def nearest(x):
        return tf.raw_ops.ResizeNearestNeighbor(images=x, size=(24, 24), half_pixel_centers=True)

    content = file(nearest, [0.1], 0.1, [x.shape])
    found = litert(content, [x], delegated=None)
    np.testing.assert_array_equal(found, x.repeat(3, axis=1).repeat(3, axis=2))
    content = file(lambda x: tf.clip_by_value(x, -0.7, 0.4), [0.1], 0.1, [x.shape])
    found = litert(content, [x], delegated=None)
    np.testing.assert_array_equal(found, np.clip(x, -7, 4))


def test_a_graph_divides_by_a_constant_like_numpy():
    """TensorFlow's graph optimizer would multiply by the reciprocal, one rounding apart."""
    x = RNG.uniform(0.001, 300, 20000).astype(np.float32)
    graph = tf.function(lambda x: divided(x, 127))
    np.testing.assert_array_equal(graph(tf.constant(x)), x / np.float32(127))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_graph_has_the_grid_of_two_ends_of_eager_mode(bits):
    low = RNG.uniform(-300, 0, 20000).astype(np.float32)
    high = RNG.uniform(0.001, 300, 20000).astype(np.float32)
    graph = tf.function(lambda low, high: functional.min_max_grid(low, high, bits))
    scale, qmin, qmax = graph(tf.constant(low), tf.constant(high))
    np.testing.assert_array_equal(scale, (high - low) / np.float32(2**bits - 1))
    for found, eager in zip(
        (qmin, qmax), functional.min_max_grid(low, high, bits)[1:], strict=True
    ):
        np.testing.assert_array_equal(found, eager)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_graph_rounds_kernels_like_eager_mode(bits):
    w = RNG.normal(0, 1, (20000, 16)).astype(np.float32)
    clip = np.abs(w).max(axis=0, keepdims=True)
    for quantize in (
        lambda w: functional.max_abs(w, bits, axis=-1),
        lambda w: functional.learned_clip(w, clip, bits),
        lambda w: functional.dorefa_weights(w, bits, axis=-1),
    ):
        np.testing.assert_array_equal(tf.function(quantize)(tf.constant(w)), quantize(w))
