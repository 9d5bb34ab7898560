"""The baselines, unsigned ranges and batch normalization in integer files: equal codes."""

from collections import Counter

import keras
import numpy as np
import pytest

from pams_tf import InputError, QuantizationRecipe, models
from pams_tf.export.converter import convert
from pams_tf.export.integer_sites import IntegerSites
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert.metadata import finish, read
from pams_tf.litert.summary import inspect
from pams_tf.models.folding import batch_normalization
from pams_tf.models.quantize import fully_quantized
from pams_tf.quantization import CodeGrid, MinMaxQuantizer, QuantConv2D, quantizers
from pams_tf.quantization.int8 import int8_range, zero_point
from pams_tf.verification.compare import verify
from pams_tf.verification.layers import layers
from pams_tf.verification.matching import check_weights, match
from pams_tf.verification.simulation import simulation

SIZE = (8, 8)
METHODS = [
    *({"method": "pact", "bits": bits} for bits in (8, 4)),
    *({"method": "tflite", "bits": bits} for bits in (8, 7, 4, 2)),
    *({"method": "dorefa", "bits": bits} for bits in (7, 2)),
    *({"unsigned": True, "bits": bits} for bits in (8, 4)),
    {"method": "dorefa", "bits": 3, "per_channel": True},
    *({"asymmetric": True, "bits": bits} for bits in (8, 2)),
    {"weight_range": "learned", "bits": 4, "unsigned": True},
    {"weight_range": "learned", "bits": 3, "per_channel": True, "asymmetric": True},
    *(
        pytest.param(recipe, marks=pytest.mark.slow)
        for recipe in (
            *({"method": "pact", "bits": bits} for bits in (7, 2)),
            {"method": "dorefa", "bits": 4},
            {"unsigned": True, "bits": 7},
            {"asymmetric": True, "bits": 4},
        )
    ),
]


def named(recipe):
    return "-".join(str(value) for value in recipe.values())


def restless(network):
    """Biases and normalizations that a trained network could have, factors of both signs."""
    rng = np.random.default_rng(4)
    for layer in network.layers:
        if isinstance(layer, QuantConv2D):
            layer.bias.assign(rng.normal(0, 3, layer.bias.shape))
        elif isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.gamma.assign(rng.normal(0, 3, shape))
            layer.beta.assign(rng.normal(0, 5, shape))
            layer.moving_mean.assign(rng.normal(0, 5, shape))
            layer.moving_variance.assign(rng.uniform(0.5, 30, shape))
    return network


def proof(network, content, pairs, path):
    """What differs between the file and the network: nothing may."""
    path.write_bytes(content)
    parity = verify(network, path, pairs, kernels=["xnnpack"], num_threads=1)
    return parity.failures()


@pytest.mark.parametrize("recipe", METHODS, ids=named)
def test_edsr_of_every_method_is_a_true_copy(student, pairs, tmp_path, recipe):
    network = restless(student(scope="all", headroom=0.6, **recipe))
    content = convert(network, SIZE, io_dtype="int8")
    assert proof(network, content, pairs, tmp_path / "x.tflite") == []
    operators = Counter(read_file(content).operators)
    # No clip is an operator of its own; tensors of few bits may need a MUL before an addition.
    assert operators.pop("MUL", 0) <= (0 if recipe["bits"] == 8 else 4)
    assert operators == {"CONV_2D": 3 + 2 * 2 + 3, "ADD": 3, "DEPTH_TO_SPACE": 1}
    kept = [check.kept for check in inspect(content).checks]
    assert kept == [True] * (2 if recipe["bits"] == 8 else 3)


@pytest.mark.parametrize("recipe", METHODS, ids=named)
def test_codes_are_those_of_the_trained_grid(student, tensors_of, recipe):
    """Of few bits no code beyond them; behind a ReLU all from zero up, and 256 of 8 bits."""
    network = student(scope="all", headroom=0.4, **recipe)
    content = convert(network, (16, 16))
    coarse = np.random.default_rng(1).integers(0, 256, (4, 4, 3), np.uint8)
    tensors, _ = tensors_of(content, coarse.repeat(4, 0).repeat(4, 1))
    codes = {details["index"]: array for details, array in tensors}
    sites = read(content)["sites"]
    bits = recipe["bits"]
    reached = {"relu": set(), "signed": set()}
    for found in match(layers(network), read_file(content)):
        site = found.layer.site
        if site not in sites or sites[site]["bits"] != bits:
            continue
        grid, zero = network.get_layer(site).grid, sites[site]["zero_point"]
        seen = codes[found.tensor].astype(int) - zero
        assert grid.qmin <= seen.min() <= seen.max() <= grid.qmax, site
        kind = "relu" if site.endswith("_relu") else "signed"
        reached[kind] |= {end for end in (grid.qmin, grid.qmax) if np.any(seen == end)}
        if site.endswith("_relu"):
            assert (grid.qmin, grid.qmax) == (0, 2**bits - 1)
            assert zero == (-128 if bits == 8 else 0)
        elif recipe.get("method") == "tflite" or recipe.get("asymmetric"):
            assert grid.qmax - grid.qmin == 2**bits - 1
        else:
            assert zero == 0
    assert reached["relu"] == {0, 2**bits - 1}
    assert len(reached["signed"]) >= 2


LAYER_BITS = {"block_0_conv_0": 8, "block_0_relu": 8, "block_1_residual": 3, "feature": 4}


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_bits_of_single_layers_are_those_of_the_file(student, pairs, tmp_path, weights):
    network = restless(student(scope="all", bits=4, headroom=0.6, layer_bits=LAYER_BITS))
    content = convert(network, SIZE, weights=weights)
    assert proof(network, content, pairs, tmp_path / "x.tflite") == []
    about = read(content)
    assert about["recipe"]["layer_bits"] == LAYER_BITS
    for name, bits in LAYER_BITS.items():
        assert network.get_layer(name).bits == bits
        assert name not in about["sites"] or about["sites"][name]["bits"] == bits
    assert network.get_layer("block_0_conv_1").bits == 4
    assert all(check.kept for check in inspect(content).checks)


@pytest.mark.parametrize("recipe", [{"method": "tflite", "bits": 5}, {"method": "pact", "bits": 4}])
def test_rdns_concatenations_are_on_the_grid_behind_them(student, pairs, tmp_path, recipe):
    """Blocks of a small range beside convolutions of a large one: nothing is clipped twice."""
    network = restless(student("rdn", scope="all", **recipe))
    for quantizer in quantizers(network):
        if quantizer.name.startswith("block") and not quantizer.name.endswith("residual"):
            factor = 0.3 if quantizer.name in ("block_0_input", "block_1_input") else 1.0
            ends = {key: factor * value for key, value in quantizer.range.items()}
            quantizer.restore_range(ends)
    assert proof(network, convert(network, SIZE), pairs, tmp_path / "x.tflite") == []


@pytest.mark.parametrize(
    "recipe",
    [
        {"bits": 8},
        {"bits": 4, "per_channel": True},
        {"bits": 4, "method": "dorefa"},
        {"bits": 8, "method": "tflite"},
        {"bits": 8, "unsigned": True},
    ],
    ids=named,
)
def test_batch_normalization_is_folded_and_leaves_the_codes(student, pairs, tmp_path, recipe):
    network = restless(student(scope="all", overrides={"batch_norm": True}, **recipe))
    content = convert(network, SIZE, io_dtype="int8")
    assert proof(network, content, pairs, tmp_path / "x.tflite") == []
    assert set(read_file(content).operators) <= {"CONV_2D", "ADD", "MUL", "DEPTH_TO_SPACE"}
    layer, norm = (network.get_layer(f"block_0_conv_0{end}") for end in ("", "_bn"))
    signs = np.sign(norm.gamma.numpy())
    assert set(signs) == {-1, 1}
    codes = np.rint(np.asarray(layer.quantized_kernel()) / np.asarray(layer.step())) * signs
    stored = [t for t in read_file(content).tensors if t.data and t.dtype == "int8"]
    kernels = [t.codes().transpose(1, 2, 3, 0) for t in stored if len(t.shape) == 4]
    assert any(k.shape == codes.shape and np.array_equal(k, codes) for k in kernels)


def test_folding_is_what_the_layer_does():
    layer = keras.layers.BatchNormalization(epsilon=1e-3)
    x = np.random.default_rng(2).normal(size=(2, 3, 3, 4)).astype(np.float32)
    layer.build(x.shape)
    for variable, values in zip(
        (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance),
        ([1, -2, 0, 3], [1, 2, 3, 4], [-1, 0, 1, 2], [0.1, 1, 10, 100]),
        strict=True,
    ):
        variable.assign(values)
    factor, offset = batch_normalization(layer)
    np.testing.assert_allclose(layer(x, training=False), x * factor + offset, atol=1e-5)


def test_a_channel_that_normalization_silences_is_a_constant(student, pairs, tmp_path):
    network = restless(student(scope="all", overrides={"batch_norm": True}))
    gamma = network.get_layer("block_1_conv_1_bn").gamma
    gamma.assign(np.where(np.arange(gamma.shape[0]) == 3, 0, gamma))
    content = convert(network, SIZE)
    assert proof(network, content, pairs, tmp_path / "x.tflite") == []


def test_the_range_of_head_and_tail_come_from_the_file(student, images, pairs, tmp_path):
    """Scope "body": minimum and maximum of a tflite student's edges are in its metadata."""
    network = restless(student(method="tflite", scope="body"))
    content = convert(network, SIZE, [images])
    whole, expected = simulation(network, read(content)), fully_quantized(network, [images])
    for quantizer in quantizers(whole):
        assert quantizer.range == expected.get_layer(quantizer.name).range
        assert set(quantizer.range) == {"alpha", "minimum", "maximum"}
    assert proof(network, content, pairs, tmp_path / "x.tflite") == []
    moved = restless(student(method="tflite", scope="body"))
    moved.get_layer("block_0_residual").maximum.assign(1.0)
    with pytest.raises(InputError, match=r"range of block_0_residual is maximum .* run's 1\.0"):
        simulation(moved, read(content))


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("ends", [(-1.3, 2.1), (-7.7, 0.9), (0.0, 3.3), (-2.0, 0.001)])
def test_the_grid_of_a_range_is_the_one_its_layer_computes_with(ends, bits):
    layer = MinMaxQuantizer(bits, initial_range=ends)
    grid = layer.grid
    values = np.unique(layer(np.linspace(-9, 9, 40_001, dtype=np.float32)))
    codes = np.rint(values / grid.scale)
    np.testing.assert_array_equal(codes, np.arange(grid.qmin, grid.qmax + 1))
    np.testing.assert_allclose(values, codes * grid.scale, atol=1e-5 * grid.scale * 2**bits)


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ((-127, 127), 0),
        ((-128, 127), 0),
        ((-7, 7), 0),
        ((0, 15), 0),
        ((0, 127), 0),
        ((0, 255), -128),
        ((-30, 225), -98),
        ((-5, 10), -123),
        ((-10, 5), 122),
    ],
)
def test_zero_points(grid, expected):
    assert zero_point(CodeGrid(0.5, *grid)) == expected
    assert grid[0] + expected >= -128
    assert grid[1] + expected <= 127


def test_no_zero_point_for_more_codes_than_int8_has():
    with pytest.raises(ValueError, match="more codes than int8"):
        zero_point(CodeGrid(0.5, 0, 256))


@pytest.mark.parametrize("zero", [-128, -100, -1, 0, 1, 77, 127])
def test_the_ends_of_an_int8_tensor_keep_its_scale_in_every_bit(zero):
    """As the converter computes it: in float64, from two ends in float32."""
    scales = (10 ** np.random.default_rng(3).uniform(-4, 4, 2000)).astype(np.float32)
    for scale in scales:
        low, high = int8_range(scale, zero)
        assert low == np.float32(low)
        assert high == np.float32(high)
        assert np.float32((high - low) / 255) == scale
        assert round(-128 - low / scale) == zero


def test_dorefa_weights_are_stored_as_odd_codes(student):
    network = student(scope="all", method="dorefa", bits=7)
    content = convert(network, SIZE)
    matches = match(layers(network), read_file(content))
    assert check_weights(matches, read_file(content)) > 5000
    (kernel,) = (
        convolution.in_file()[0]
        for found in matches
        for convolution in found.layer.convolutions
        if convolution.result.layer.name == "block_0_conv_0"
    )
    assert np.abs(kernel).max() == 127
    assert set(np.unique(np.abs(kernel) % 2)) == {1}


def test_dorefas_three_bits_fit_into_int4(student, tensors_of):
    network = student(scope="all", method="dorefa", bits=3, overrides={"features": 32})
    small, large = (convert(network, SIZE, weights=weights) for weights in ("int4", "int8"))
    assert sum(t.dtype == "int4" for t in read_file(small).tensors) == 4
    picture = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)
    results = [tensors_of(content, picture, xnnpack=False)[1] for content in (small, large)]
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("bits", "weights", "message"),
    [
        (8, "int8", "8-bit weights .* -255 to 255, which need 9 bits: int8 .* at most 7 bits"),
        (4, "int4", "4-bit weights .* -15 to 15, which need 5 bits: int4 .* at most 3 bits"),
    ],
)
def test_dorefa_weights_that_have_no_codes_are_refused(bits, weights, message):
    recipe = QuantizationRecipe(method="dorefa", bits=bits, scope="all")
    network = models.build("edsr_mobile", 2, recipe, blocks=1, features=4)
    with pytest.raises(InputError, match=message):
        convert(network, SIZE, weights=weights)


def test_units_leave_asymmetric_codes_alone(student):
    """The file's scales are the trained ones times a unit; zero points know no units."""
    network = student(scope="all", method="tflite", bits=4, headroom=0.5)
    sites = IntegerSites(network)
    for quantizer in quantizers(network):
        assert sites.sites[quantizer.name].zero_point == zero_point(quantizer.grid)
    fields = read(convert(network, SIZE))["sites"]
    for name, site in fields.items():
        grid = network.get_layer(name).grid
        np.testing.assert_allclose(site["scale"], site["unit"] * grid.scale, rtol=1e-6)
    assert any(site["unit"] != 1 for site in fields.values())


@pytest.mark.parametrize("target", ["npu", "ethos-u85"])
@pytest.mark.parametrize(
    "recipe",
    [{"method": "tflite", "bits": 8}, {"method": "tflite", "bits": 4}, {"unsigned": True}],
    ids=named,
)
def test_an_npus_file_has_the_same_codes(student, tensors_of, recipe, target):
    network = restless(student(scope="all", headroom=0.6, **recipe))
    picture = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)
    expected, found = (
        tensors_of(convert(network, SIZE, target=name), picture)[1] for name in ("cpu", target)
    )
    np.testing.assert_array_equal(found, expected)


def test_a_file_from_before_unsigned_ranges_is_still_read(student):
    network = student(scope="all")
    content = convert(network, SIZE)
    fields = read(content)
    del fields["recipe"]["unsigned"]
    fields = read(finish(content, fields))
    assert simulation(network, fields) is network
    with pytest.raises(InputError, match="its recipe is"):
        simulation(student(scope="all", unsigned=True), fields)
