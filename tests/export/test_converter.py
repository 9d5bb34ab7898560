"""The converter: learned alphas are the scales, the codes are those of the trained network."""

import dataclasses
from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf

from pams_tf import InputError, QuantizationRecipe, models
from pams_tf.evaluation.upscaler import keras_upscale, tflite_upscale
from pams_tf.export.converter import convert
from pams_tf.export.integer_sites import IntegerSites
from pams_tf.export.values import Held, Result, on_grid
from pams_tf.export.variants import convert_float, convert_ptq
from pams_tf.litert import metadata
from pams_tf.litert.flatbuffer import read_file
from pams_tf.models.quantize import fully_quantized
from pams_tf.quantization import QuantConv2D, functional, quantizers
from pams_tf.verification.layers import layers
from pams_tf.verification.matching import match

PICTURE = (16, 20)


def picture(seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_integer_file_gives_the_simulations_image(student, scale):
    network = student(scale=scale, scope="all")
    codes = tflite_upscale(convert(network, PICTURE))(picture())
    assert codes.shape == (16 * scale, 20 * scale, 3)
    np.testing.assert_array_equal(codes, keras_upscale(network)(picture()))
    assert len(np.unique(codes)) > 50


def test_learned_alphas_are_the_scales(student, images):
    network = student(scope="body")
    content = convert(network, PICTURE, [images])
    found = {
        tensor.scales[0]
        for tensor in read_file(content).tensors
        if tensor.dtype == "int8" and tensor.zero_points == (0,) and len(tensor.scales) == 1
    }
    alphas = [np.float32(q.alpha) for q in quantizers(network)]
    assert len(set(alphas)) == 6
    for alpha in alphas:
        assert alpha / np.float32(127) in found


def test_any_alpha_survives_in_every_bit(student):
    """Alphas from 0.3 to 30, none of them round: the scale is float32-equal all the same."""
    rng = np.random.default_rng(12)
    network = student(scope="all", overrides={"blocks": 20, "features": 2})
    for quantizer in quantizers(network):
        quantizer.alpha.assign(10 ** rng.uniform(-0.5, 1.5))
    content = convert(network, PICTURE)
    scales = {t.scales[0] for t in read_file(content).tensors if len(t.scales) == 1}
    missing = [q.name for q in quantizers(network) if np.float32(q.alpha) / 127 not in scales]
    assert missing == []


def test_one_tensor_at_a_time(student, tensors_of):
    """Each site's codes are the student's, found in the file by their scale."""
    network = student(scope="all")
    tensors, output = tensors_of(convert(network, PICTURE), picture())
    probe = keras.Model(network.inputs[0], [site.codes for site in network.sites.values()])
    for name, expected in zip(
        network.sites, probe(picture()[None].astype(np.float32)), strict=True
    ):
        held = network.sites[name].held.in_file()
        found = [
            codes
            for details, codes in tensors
            if details["quantization"] == (np.float32(held.scale), held.zero_point)
        ]
        np.testing.assert_array_equal(found[0].astype(int) - held.zero_point, expected)
    np.testing.assert_array_equal(output, keras_upscale(network)(picture()))


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("bits", [8, 4, 2])
def test_weights_are_stored_on_the_grid(student, images, bits, per_channel):
    network = student(bits=bits, per_channel=per_channel)
    tensors = read_file(convert(network, PICTURE, [images])).tensors
    for layer in network.layers:
        if not isinstance(layer, QuantConv2D):
            continue
        axis = -1 if per_channel else None
        limits = functional.max_abs_range(layer.kernel.value, axis)
        steps = np.asarray(limits) / (2 ** (bits - 1) - 1)
        codes = np.transpose(np.rint(np.asarray(layer.kernel) / steps), (3, 0, 1, 2))
        (stored,) = (
            t for t in tensors if t.shape == codes.shape and np.array_equal(t.codes(), codes)
        )
        # All channels by one factor: the units of the tensors before and behind.
        units = np.asarray(stored.scales) / np.ravel(steps)
        np.testing.assert_allclose(units, 1.0 if bits == 8 else units[0], rtol=1e-6)
        assert set(stored.zero_points) == {0}


@pytest.mark.parametrize(
    "bits", [2, 3, 4, 7, *(pytest.param(bits, marks=pytest.mark.slow) for bits in (5, 6))]
)
def test_fewer_bits_stay_on_their_own_grid(student, tensors_of, bits):
    """Clipped on both sides, by nothing but what the convolutions and additions do anyway."""
    network = student(bits=bits, scope="all", headroom=0.5, overrides={"blocks": 3})
    content = convert(network, PICTURE)
    operators = Counter(read_file(content).operators)
    assert operators.pop("QUANTIZE") == 2  # uint8 at both ends
    # What is left: one MUL at most for each tensor of few bits that an addition reads.
    assert operators.pop("MUL", 0) <= 2 * 3
    assert operators == {"CONV_2D": 3 + 2 * 3 + 3, "ADD": 3 + 1, "DEPTH_TO_SPACE": 1}
    tensors, output = tensors_of(content, picture())
    codes = {details["index"]: array for details, array in tensors}
    sites = metadata.read(content)["sites"]
    n = 2 ** (bits - 1) - 1
    clipped = set()
    for found in match(layers(network), read_file(content)):
        site = found.layer.site
        if site not in sites or sites[site]["bits"] != bits:
            continue
        assert np.isclose(sites[site]["scale"] * n, sites[site]["alpha"] * sites[site]["unit"])
        lowest = 0 if site.endswith("_relu") else -n
        assert lowest <= codes[found.tensor].min() <= codes[found.tensor].max() <= n, site
        clipped |= {int(codes[found.tensor].min()), int(codes[found.tensor].max())}
    assert clipped >= {-n, 0, n}
    np.testing.assert_array_equal(output, keras_upscale(network)(picture()))


@pytest.mark.parametrize("name", ["edsr_mobile", "rdn"])
@pytest.mark.parametrize("bits", [2, 4, 7])
def test_fused_clips_leave_the_codes_of_separate_ones(student, tensors_of, name, bits, monkeypatch):
    network = student(name, bits=bits, scope="all", headroom=0.5)
    content = convert(network, PICTURE)
    _, fused = tensors_of(content, picture())
    operators = Counter(read_file(content).operators)
    # RDN's concatenations keep theirs: no operator that makes one could clip.
    assert operators["MINIMUM"] == operators["MAXIMUM"] == operators["CONCATENATION"]

    def separate(self, x, name, **settings):
        grid = self.sites[name].grid
        alpha = grid.scale * grid.qmax

        copy = x.next_copy()

        def compute():
            y = x.for_site(copy, 1.0)
            if isinstance(x, Result) and x.bound is None:  # a concatenation, on its grid before too
                y = on_grid(y, grid.scale, 0)
            if grid.qmax < 127:
                y = tf.clip_by_value(y, -alpha, alpha)
            return on_grid(y, grid.scale, 0)

        self.sites[name] = dataclasses.replace(self.sites[name], unit=1.0)
        return Held(name, compute, x.channels, grid.scale, 0)

    monkeypatch.setattr(IntegerSites, "activation", separate)
    content = convert(network, PICTURE)
    assert Counter(read_file(content).operators)["MINIMUM"] > operators["MINIMUM"]
    _, expected = tensors_of(content, picture())
    if name == "rdn":  # a QUANTIZE has 8 fractional bits where a MUL that undoes a unit has 24
        expected = keras_upscale(network)(picture())[None]
    assert np.mean(fused != expected) < 1e-3
    assert len(np.unique(expected)) > 20


def test_eight_bit_edsr_is_nothing_but_its_convolutions(student, images):
    network = student(scope="body", overrides={"blocks": 3})
    info = read_file(convert(network, PICTURE, [images], io_dtype="int8"))
    # The mean, head (for blocks and for the long shortcut), two a block, body, upsampling, tail.
    assert Counter(info.operators) == {
        "CONV_2D": 3 + 2 * 3 + 3,
        "ADD": 3 + 1,
        "DEPTH_TO_SPACE": 1,
    }
    assert {tensor.dtype for tensor in info.tensors} == {"int8", "int32"}


@pytest.mark.parametrize(("edges", "zero"), [("int8", -128), ("uint8", 0), ("float32", None)])
def test_edges_are_image_bytes(student, images, edges, zero):
    content = convert(student(), PICTURE, [images], io_dtype=edges)
    source, target = read_file(content).io_tensors
    assert (source.shape, target.shape) == ((1, 16, 20, 3), (1, 32, 40, 3))
    for tensor in (source, target):
        assert tensor.dtype == edges
        assert tensor.zero_points == (() if zero is None else (zero,))
        assert tensor.scales == (() if zero is None else (np.float32(1),))
    ends = {"int8": 0, "uint8": 2, "float32": 2}[edges]
    operators = read_file(content).operators
    assert sum("QUANTIZE" in operator for operator in operators) == ends
    codes = tflite_upscale(content)(picture())
    np.testing.assert_array_equal(
        codes, tflite_upscale(convert(student(), PICTURE, [images]))(picture())
    )


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_int4_weights_are_half_the_bytes_and_the_same_codes(student, images, tensors_of, bits):
    network = student(bits=bits, overrides={"features": 32})
    small = convert(network, PICTURE, [images], weights="int4")
    large = convert(network, PICTURE, [images], weights="int8")
    kernels = [t for t in read_file(small).tensors if t.dtype == "int4"]
    assert len(kernels) == 4  # two blocks of two convolutions; head and tail have 8 bits
    saved = sum(int(np.prod(t.shape)) for t in kernels) // 2
    assert abs(len(large) - len(small) - saved) < 1000
    # XNNPACK takes no int4 convolution, so the two are compared under the same kernels.
    _, expected = tensors_of(large, picture(), xnnpack=False)
    _, found = tensors_of(small, picture(), xnnpack=False)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found)) > 50


def test_a_file_of_open_size(student, images):
    network = student()
    content = convert(network, None, [images])
    fixed = tflite_upscale(convert(network, PICTURE, [images]))
    np.testing.assert_array_equal(tflite_upscale(content)(picture()), fixed(picture()))


def test_variants_for_comparison(student, images):
    network = student()
    whole, half = convert_float(network, PICTURE), convert_float(network, PICTURE, half=True)
    assert any(t.dtype == "float16" for t in read_file(half).tensors)
    assert len(half) < len(whole)
    reference = tflite_upscale(whole)(picture()).astype(int)
    assert np.abs(tflite_upscale(half)(picture()) - reference).max() <= 1
    ptq = convert_ptq(network, PICTURE, [images])
    assert {t.dtype for t in read_file(ptq).tensors} == {"int8", "int32"}
    assert np.abs(tflite_upscale(ptq)(picture()) - reference).mean() < 10


def test_res_scale_is_folded(student):
    network = student(overrides={"res_scale": 0.1}, scope="all")
    content = convert(network, PICTURE)
    assert "MUL" not in read_file(content).operators
    np.testing.assert_array_equal(
        tflite_upscale(content)(picture()), keras_upscale(network)(picture())
    )


def test_clipped_values_have_the_same_codes_too(student, tensors_of):
    """Below -alpha an int8 tensor has one more code, -128, and so has the simulation."""
    network = student(scope="all", headroom=0.7)
    tensors, _ = tensors_of(convert(network, PICTURE), picture())
    site = network.sites["block_0_input"]
    expected = keras.Model(network.inputs[0], site.codes)(picture()[None].astype(np.float32))
    scale = np.float32(site.held.in_file().scale)
    codes = next(array for details, array in tensors if details["quantization"] == (scale, 0))
    assert codes.min() == -128
    assert codes.max() == 127
    np.testing.assert_array_equal(codes, expected)


def test_rdn(student):
    network = student("rdn", scope="all")
    content = convert(network, PICTURE)
    assert set(read_file(content).operators) == {
        "CONV_2D", "ADD", "CONCATENATION", "QUANTIZE", "DEPTH_TO_SPACE",
    }  # fmt: skip
    image = tflite_upscale(content)(picture())
    np.testing.assert_array_equal(image, keras_upscale(network)(picture()))


def test_float_twin(student):
    network = student()
    content = convert_float(network, PICTURE)
    assert {t.dtype for t in read_file(content).tensors} == {"float32"}
    twin = models.build("edsr_mobile", 2, blocks=2, features=8)
    for variable in twin.variables:
        name = variable.path
        variable.assign(next(v for v in network.variables if v.path == name).value)
    np.testing.assert_allclose(
        tflite_upscale(content)(picture()).astype(int), keras_upscale(twin)(picture()), atol=1
    )


def test_the_head_has_a_range_for_the_blocks_and_one_for_the_shortcut(student, images):
    network = student(scope="all")
    tensors = read_file(convert(network, PICTURE)).tensors
    for site in ("block_0_input", "head_output"):
        scale = np.float32(network.get_layer(site).alpha) / np.float32(127)
        assert any(t.shape == (1, *PICTURE, 8) and t.scales == (scale,) for t in tensors)


def test_the_bodys_alphas_stay_as_learned(student, images):
    network = student(scope="body")
    whole = fully_quantized(network, [images])
    learned = {q.name: float(q.alpha) for q in quantizers(network)}
    completed = {q.name: float(q.alpha) for q in quantizers(whole)}
    assert learned.items() <= completed.items()
    assert {q.name for q in quantizers(whole) if int(q.observations) == 1} == set(completed)
    assert whole.recipe == network.recipe.replace(scope="all")


@pytest.mark.parametrize(
    ("recipe", "overrides", "message"),
    [
        (None, {}, "is a float network without ranges"),
        (QuantizationRecipe(bits=16), {}, "16 bits cannot become an int8 file"),
        (QuantizationRecipe(scope="all", head_tail_bits=16), {}, "16 bits cannot become"),
        (
            QuantizationRecipe(method="dorefa"),
            {},
            "codes -255 to 255, which need 9 bits: int8 holds those of at most 7 bits",
        ),
        (QuantizationRecipe(), {}, "it was never calibrated; make the student with"),
    ],
)
def test_what_has_no_integer_file(recipe, overrides, message):
    network = models.build("edsr_mobile", 2, recipe, blocks=1, features=4, **overrides)
    with pytest.raises(InputError, match=message):
        convert(network, PICTURE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"io_dtype": "int16"},
            "io_dtype='int16' is not possible; choose one of int8, uint8, float32",
        ),
        ({"weights": "int2"}, "weights='int2' is not possible; choose int8 or int4"),
        ({"weights": "int4"}, "weights='int4' cannot hold the kernels of a recipe of 8 bits"),
    ],
)
def test_impossible_options(student, options, message):
    with pytest.raises(InputError, match=message):
        convert(student(scope="all"), PICTURE, **options)


@pytest.mark.parametrize("size", [(0, 20), (16, -1)])
def test_impossible_sizes(student, size):
    with pytest.raises(InputError, match="input size .* is not possible"):
        convert(student(scope="all"), size)


def test_percentiles_trim_the_ranges_of_head_and_tail(student, images):
    network = student(scope="body")
    largest, trimmed = (
        {q.name: float(q.alpha) for q in quantizers(fully_quantized(network, [images], percentile))}
        for percentile in (100.0, 95.0)
    )
    learned = {q.name for q in quantizers(network)}
    assert all(trimmed[name] == largest[name] for name in learned)
    assert all(trimmed[name] < largest[name] for name in largest.keys() - learned)
    for percentile in (50.0, 100.1, -1.0):
        with pytest.raises(InputError, match=rf"percentile={percentile} .* above 50 up to 100"):
            convert(network, PICTURE, [images], percentile=percentile)
    with pytest.raises(InputError, match=r"percentile=99.0 .* scope 'all'"):
        convert(student(scope="all"), PICTURE, percentile=99.0)


def test_a_student_of_the_body_needs_images(student):
    with pytest.raises(InputError, match="give calibration images"):
        convert(student(), PICTURE)
