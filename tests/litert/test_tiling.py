"""Tiles against the whole image in one piece, code by code; radii against perturbed networks."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from pams_tf import models
from pams_tf.errors import InputError
from pams_tf.evaluation.upscaler import tflite_upscale
from pams_tf.export.converter import convert
from pams_tf.export.variants import convert_float
from pams_tf.litert import tiling
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert.interpreter import ImageInterpreter
from pams_tf.litert.receptive_field import receptive_field, receptive_field_radius
from pams_tf.litert.tiling import TiledUpscaler
from pams_tf.litert.upscaler import LiteRTUpscaler
from pams_tf.models.blocks import RGB_MEAN

RADIUS = {"edsr_mobile": 8, "rdn": 11}  # of the small students


def photo(height, width, seed=4):
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 3 + 1, width // 3 + 1, 3))
    return coarse.repeat(3, 0).repeat(3, 1)[:height, :width].astype(np.uint8)


def differing(one, other):
    assert one.shape == other.shape
    return int((one != other).sum())


def file_of(function, height, width, dtype=None):
    """A .tflite file of a TensorFlow function of an image; quantized to `dtype` if given."""
    spec = tf.TensorSpec((1, height, width, 3), tf.float32)
    forward = tf.function(function, input_signature=[spec])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [forward.get_concrete_function()], tf.Module()
    )
    if dtype is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: [[photo(height, width)[None].astype("float32")]]
        converter.inference_input_type = converter.inference_output_type = dtype
    return converter.convert()


def kernel(size, channels_in, channels_out, seed=1):
    values = np.random.default_rng(seed).uniform(0, 1, (size, size, channels_in, channels_out))
    return (values / values.sum(axis=(0, 1, 2))).astype(np.float32)


def small_network(x):
    """Radius 3: two convolutions of 3x3 and 1 pixel of the result."""
    x = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 4), 1, "SAME"))
    x = tf.nn.depth_to_space(tf.nn.conv2d(x, kernel(3, 4, 12), 1, "SAME"), 2)
    return tf.nn.conv2d(x, kernel(3, 3, 3), 1, "SAME")


# --- No seams ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["edsr_mobile", "rdn"])
@pytest.mark.parametrize(
    ("scale", "bits", "io_dtype", "weights"),
    [
        (2, 8, "int8", "int8"),
        (4, 4, "uint8", "int8"),
        (3, 8, "float32", "int8"),
        (2, 4, "int8", "int4"),
    ],
)
def test_tiles_give_the_codes_of_the_whole_image(student, name, scale, bits, io_dtype, weights):
    radius = RADIUS[name]
    tile = (2 * radius + 8, 2 * radius + 13)
    network = student(name, scale=scale, bits=bits, scope="all")
    content = convert(network, tile, io_dtype=io_dtype, weights=weights)
    image = photo(3 * radius + 30, 2 * radius + 41)
    whole = tflite_upscale(content)(image)
    assert len(np.unique(whole)) > 50
    tiled = LiteRTUpscaler(content)
    assert (tiled.tile, tiled.halo, tiled.scale) == (tile, radius, scale)
    calls = []
    result = tiled(image, lambda done, total: calls.append((done, total)))
    assert differing(result, whole) == 0
    assert calls == [(i + 1, len(calls)) for i in range(len(calls))]
    assert len(calls) > 6
    # The test can fail: without a halo the cuts are to be seen.
    assert differing(LiteRTUpscaler(content, halo=0)(image), whole) > 100


def test_float_files_have_no_seams_either(student):
    content = convert_float(student(), (24, 30))
    image = photo(50, 61)
    assert differing(LiteRTUpscaler(content)(image), tflite_upscale(content)(image)) == 0


def test_a_file_that_leaves_its_size_open(student, monkeypatch):
    monkeypatch.setattr(tiling, "INNER", 16)
    content = convert(student(scope="all"), None)
    tiled = LiteRTUpscaler(content)
    assert (tiled.tile, tiled.scale) == ((16 + 2 * 8, 16 + 2 * 8), 2)
    for size in ((60, 43), (9, 40), (32, 32)):
        image = photo(*size)
        assert differing(tiled(image), tflite_upscale(content)(image)) == 0


@pytest.mark.parametrize("size", [(8, 8), (9, 60), (60, 8), (24, 29), (24, 30), (25, 30), (24, 31)])
def test_sizes_below_and_about_a_tile(student, size):
    """The graph is allocated for the side that is shorter; so borders stand where they must."""
    content = convert(student(scope="all"), (24, 30))
    image = photo(*size)
    assert differing(LiteRTUpscaler(content)(image), tflite_upscale(content)(image)) == 0


def test_one_interpreter_serves_all_sizes_in_turn(student):
    content = convert(student(scope="all"), (24, 30))
    tiled = LiteRTUpscaler(content, num_threads=1)
    for size in ((40, 50), (10, 12), (40, 50), (10, 50)):
        assert differing(tiled(photo(*size)), tflite_upscale(content)(photo(*size))) == 0


def test_no_tile_is_larger_than_the_file_and_few_are_needed():
    seen = []

    def repeat(piece):
        seen.append(piece.shape[:2])
        return piece.repeat(2, 0).repeat(2, 1)

    image = photo(300, 200)
    upscaler = TiledUpscaler(repeat, name="repeat", scale=2, tile=(64, 80), halo=10)
    np.testing.assert_array_equal(upscaler(image), repeat(image))
    assert set(seen[:-1]) == {(64, 80)}
    # Each tile moves on by 44 rows and 60 columns at most.
    assert len(seen[:-1]) == (1 + -(-(300 - 64) // 44)) * (1 + -(-(200 - 80) // 60))


def test_cuts_keep_their_distance_from_the_rims_of_tiles():
    rng = np.random.default_rng(6)
    for _ in range(300):
        halo = int(rng.integers(0, 40))
        side = 2 * halo + int(rng.integers(1, 60))
        length = int(rng.integers(1, 500))
        parts = tiling._parts(length, side, halo)
        assert parts[0].start == parts[0].first == 0
        assert parts[-1].stop == parts[-1].last == length
        assert {part.stop - part.start for part in parts} == {min(side, length)}
        for left, right in itertools.pairwise(parts):
            assert left.last == right.first
            assert left.stop - left.last >= halo
            assert right.first - right.start >= halo
        assert len(parts) == 1 + max(0, -(-(length - side) // (side - 2 * halo)))


# --- Depth-to-space in other operators -----------------------------------------------------------


def shuffling_network(x):
    """Radius 2: what the two networks below do, in operators that take every size."""
    x = tf.nn.depth_to_space(tf.nn.conv2d(x, kernel(3, 3, 12), 1, "SAME"), 2)
    return tf.nn.conv2d(x, kernel(3, 3, 3), 1, "SAME")


def transposing_network(x):
    one_hot = np.eye(12, dtype=np.float32).reshape(12, 2, 2, 3).transpose(1, 2, 3, 0)
    x = tf.nn.conv2d(x, kernel(3, 3, 12), 1, "SAME")
    x = tf.nn.conv2d_transpose(x, one_hot, (1, 28, 24, 3), 2, "VALID")
    return tf.nn.conv2d(x, kernel(3, 3, 3), 1, "SAME")


def reshaping_network(x):
    x = tf.nn.conv2d(x, kernel(3, 3, 12), 1, "SAME")
    x = tf.transpose(tf.reshape(x, (14, 12, 2, 6)), (0, 2, 1, 3))
    return tf.nn.conv2d(tf.reshape(x, (1, 28, 24, 3)), kernel(3, 3, 3), 1, "SAME")


@pytest.mark.parametrize(
    ("network", "operator"),
    [(transposing_network, "TRANSPOSE_CONV"), (reshaping_network, "TRANSPOSE")],
)
def test_depth_to_space_in_other_operators(network, operator):
    content = file_of(network, 14, 12, tf.int8)
    assert operator in read_file(content).operators
    tiled = LiteRTUpscaler(content)
    assert (tiled.tile, tiled.halo, tiled.scale) == ((14, 12), 2, 2)
    image = photo(33, 29)
    whole = tflite_upscale(file_of(shuffling_network, 14, 12, tf.int8))
    assert differing(tiled(image), whole(image)) == 0


def test_a_graph_that_takes_one_size_gets_a_mirrored_border():
    """RESHAPE holds the size in a constant."""
    content = file_of(reshaping_network, 14, 12, tf.int8)
    tiled = LiteRTUpscaler(content)
    low = photo(9, 30)
    result = tiled(low)
    whole = tflite_upscale(file_of(shuffling_network, 14, 12, tf.int8))(low)
    inside = 2 * (9 - tiled.halo)
    assert differing(result[:inside], whole[:inside]) == 0  # the upper border is the true one
    assert differing(result[inside:], whole[inside:]) > 0
    small = photo(9, 7)
    mirrored = np.pad(small, ((0, 5), (0, 5), (0, 0)), mode="reflect")
    assert differing(tiled(small), tflite_upscale(content)(mirrored)[:18, :14]) == 0


@pytest.mark.parametrize("size", [(1, 1), (3, 60), (7, 5), (60, 2)])
def test_a_picture_smaller_than_the_halo_is_mirrored(student, size):
    network = student("edsr_mobile", scale=2, bits=8, scope="all")
    tiled = LiteRTUpscaler(convert(network, (40, 44)))
    assert tiled.halo == 8
    colour = np.uint8([20, 200, 90])
    flat, large = (np.broadcast_to(colour, (*side, 3)) for side in (size, (60, 60)))
    # A flat picture has no border to see: it is the middle of a larger one.
    inner = tiled(large)[40:42, 40:42]
    expected = np.tile(inner, (*size, 1))
    short = [length < tiled.halo for length in size]
    part = tuple(slice(None) if is_short else slice(30, 60) for is_short in short)
    assert differing(tiled(flat)[part], expected[part]) == 0


def test_a_mirrored_picture_is_bicubic_still():
    from pams_tf.data.resize import upscale
    from pams_tf.evaluation.upscaler import Upscaler

    for size in ((1, 1), (2, 3), (3, 40)):
        image = photo(*size)
        assert differing(Upscaler("bicubic", scale=3)(image), upscale(image, 3)) == 0


# --- Receptive fields ----------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("edsr_mobile", {"blocks": 1, "features": 2}),
        ("edsr_mobile", {"blocks": 3, "features": 2}),
        ("edsr_nano", {"blocks": 2, "features": 2}),
        ("rdn", {"blocks": 2, "features": 2, "layers": 2, "growth": 2}),
    ],
)
def test_the_radius_is_where_a_perturbed_pixel_stops_to_show(name, size, scale):
    """All weights 1 and no bias: what depends on a pixel cannot hide that it does."""
    network = models.build(name, scale, **size)
    for variable in network.variables:
        variable.assign(np.full(variable.shape, float("kernel" in variable.path)))
    radius = models.receptive_field_radius(name, scale, **size)
    side = 2 * radius + 5
    content = convert_float(network, (side, side))
    assert receptive_field_radius(content) == radius

    interpreter = ImageInterpreter(content)
    zero = np.asarray((0, 0, 0) if name == "rdn" else RGB_MEAN, np.float32)
    image = np.broadcast_to(zero, (side, side, 3)).copy()
    outputs = []
    for centre in (0, 1000):
        image[side // 2, side // 2] = zero + centre
        interpreter.set_image(image)
        interpreter.invoke()
        outputs.append(interpreter.image())
    rows, columns = np.nonzero((outputs[0] != outputs[1]).any(axis=2))
    for seen in (rows // scale, columns // scale):
        assert (seen.min(), seen.max()) == (side // 2 - radius, side // 2 + radius)


def test_radii_of_the_presets():
    # One pixel a 3x3 convolution; 1.5 to 1.75 for the upsampling, of which a part is a whole.
    expected = {
        "edsr_baseline": 36,
        "edsr": 68,
        "edsr_mobile": 14,
        "edsr_small": 13,
        "edsr_nano": 9,
        "plain_small": 7,
        "plain_medium": 8,
        "plain_large": 9,
        "rdn": 133,
        "rdn_small": 21,
        "rdn_a": 125,
    }
    for scale in (2, 3, 4):
        found = {name: models.receptive_field_radius(name, scale) for name in models.presets()}
        assert found == expected
    with pytest.raises(InputError, match="unknown network"):
        models.receptive_field_radius("unet", 2)


def test_kernels_of_every_shape():
    def forward(x):
        x = tf.nn.conv2d(x, np.ones((5, 1, 3, 3), np.float32), 1, "SAME")
        x = tf.nn.depthwise_conv2d(x, np.ones((3, 3, 3, 1), np.float32), (1, 1, 1, 1), "SAME")
        return tf.nn.conv2d(x, np.ones((3, 3, 3, 3), np.float32), 1, "SAME", dilations=2)

    assert receptive_field_radius(file_of(forward, 20, 20)) == 2 + 1 + 2
    even = file_of(lambda x: tf.nn.conv2d(x, np.ones((4, 4, 3, 3), np.float32), 1, "SAME"), 9, 9)
    assert receptive_field_radius(even) == 2  # one pixel before, two behind


def test_operators_without_a_known_reach_are_named():
    def pooled(x):
        return tf.nn.max_pool2d(x, 3, 1, "SAME")

    content = file_of(pooled, 16, 16)
    with pytest.raises(InputError, match="how far an operator of the file sees: MAX_POOL_2D.*halo"):
        LiteRTUpscaler(content)
    assert LiteRTUpscaler(content, halo=3)(photo(30, 30)).shape == (30, 30, 3)


def strided_network(x):
    """Half and a quarter of the pixels, and back."""
    half = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 4), 2, "SAME"))
    quarter = tf.nn.conv2d(half, kernel(2, 4, 16), 2, "SAME")
    half = half + tf.nn.depth_to_space(quarter, 2)
    return tf.nn.depth_to_space(tf.nn.conv2d(half, kernel(3, 4, 48), 1, "SAME"), 4)


@pytest.mark.parametrize("size", [(60, 44), (24, 100), (57, 43), (9, 30)])
def test_tiles_begin_where_strides_do(size):
    content = file_of(strided_network, 24, 28, tf.uint8)
    tiled = LiteRTUpscaler(content)
    assert (tiled.halo, tiled.step, tiled.scale) == (6, 4, 2)
    image = photo(*size)
    margins = [(0, -length % 4) for length in size]
    whole = np.pad(image, (*margins, (0, 0)), mode="symmetric")
    expected = tflite_upscale(content)(whole)[: 2 * size[0], : 2 * size[1]]
    assert differing(tiled(image), expected) == 0
    if size == (60, 44):
        assert differing(LiteRTUpscaler(content, halo=0)(image), expected) > 0


def test_a_mean_over_the_image_allows_whole_images_only():
    def centred(x):
        x = tf.nn.conv2d(x, kernel(3, 3, 3), 1, "SAME")
        return x - tf.reduce_mean(x, (1, 2), keepdims=True) + 100.0

    content = file_of(centred, 16, 16)
    assert receptive_field(content) == (None, 1)
    with pytest.raises(InputError, match="a mean over the whole image, .*--halo"):
        receptive_field_radius(content)
    upscaler = LiteRTUpscaler(content)
    for size in ((16, 16), (30, 40)):  # the graph is resized
        whole = np.clip(np.rint(centred(photo(*size)[None].astype(np.float32))), 0, 255)[0]
        assert np.abs(upscaler(photo(*size)) - whole).max() <= 1
    assert LiteRTUpscaler(content, halo=3).tile == (16, 16)


# --- Bad input -----------------------------------------------------------------------------------


def test_a_file_too_small_for_its_halo(student, tmp_path):
    path = tmp_path / "small.tflite"
    path.write_bytes(convert(student(scope="all"), (23, 60)))
    tiled = LiteRTUpscaler(path)
    with pytest.raises(InputError) as caught:
        tiled(photo(50, 50))
    message = str(caught.value)
    assert message.startswith(f"{path} takes 23x60, too small for tiles of an image of 50x50")
    assert "halo of 8 pixels needs 24; export it with --input_size 24x24 or more" in message
    assert "a halo of at most 7" in message
    assert LiteRTUpscaler(path, halo=7)(photo(50, 50)).shape == (100, 100, 3)
    # No cut, no halo: an image of one tile is none too large.
    assert tiled(photo(23, 50)).shape == (46, 100, 3)


def test_a_file_too_small_for_any_tile():
    tiled = LiteRTUpscaler(file_of(small_network, 7, 16), halo=0)
    with pytest.raises(InputError, match="export it with --input_size 8x8 or more$"):
        tiled(photo(8, 8))


@pytest.mark.parametrize("halo", [-1, 1.5, True])
def test_no_halo_at_all(halo):
    with pytest.raises(InputError, match=f"halo={halo} is not possible"):
        LiteRTUpscaler(file_of(small_network, 16, 16), halo=halo)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((9, 9, 3), np.float32),
        np.zeros((0, 9, 3), np.uint8),
    ],
)
def test_what_is_no_image(image):
    with pytest.raises(InputError, match=r"give uint8 \(h, w, 3\)"):
        LiteRTUpscaler(file_of(small_network, 16, 16))(image)


def test_files_that_are_no_upscalers(tmp_path):
    with pytest.raises(InputError, match="turns 16x16 into 8x8, which is not an integer"):
        LiteRTUpscaler(file_of(lambda x: x[:, ::2, ::2], 16, 16), halo=1)
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(b"no model")
    with pytest.raises(InputError, match=r"foreign\.tflite: not a TensorFlow Lite file"):
        LiteRTUpscaler(foreign)


def test_several_threads_share_an_upscaler(student):
    """Pieces of two sizes, so that the graph is resized again and again."""
    upscale = LiteRTUpscaler(convert(student(scope="all"), (20, 20)), halo=2)
    pictures = [photo(40, 30), photo(12, 50)] * 8
    expected = [upscale(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        for result, alone in zip(pool.map(upscale, pictures), expected, strict=True):
            np.testing.assert_array_equal(result, alone)
