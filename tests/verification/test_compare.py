"""The proof holds for a true copy, and any single thing changed in the file is caught and named."""

import keras
import numpy as np
import pytest
from biased import biased

from pams_tf import InputError
from pams_tf.data import datasets
from pams_tf.evaluation.upscaler import keras_upscale
from pams_tf.export.converter import convert
from pams_tf.export.variants import convert_float
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert.metadata import read
from pams_tf.litert.summary import inspect
from pams_tf.models.quantize import fully_quantized
from pams_tf.verification.compare import verify
from pams_tf.verification.layers import BYTES, IMAGE, OUTPUT, as_int8, layers
from pams_tf.verification.matching import check_weights, match
from pams_tf.verification.parity import Tolerance
from pams_tf.verification.report import markdown, picture
from pams_tf.verification.simulation import simulation

SIZE = (8, 8)


def compared(network, file, pairs):
    return verify(network, file, pairs, kernels=["xnnpack"], num_threads=1)


@pytest.fixture(scope="module")
def network(student):
    return biased(student(scope="all"))


@pytest.fixture(scope="module")
def content(network):
    return convert(network, SIZE)


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("edsr_mobile", {"bits": 8, "scope": "body"}),
        ("edsr_mobile", {"bits": 4, "scope": "all"}),
        ("edsr_mobile", {"bits": 8, "scope": "all", "per_channel": True}),
        ("rdn", {"bits": 8, "scope": "all"}),
    ],
)
def test_a_true_copy_is_one(student, images, pairs, tmp_path, name, recipe):
    network = biased(student(name, **recipe))
    file = written(tmp_path / "x.tflite", convert(network, SIZE, [images]))
    parity = verify(
        network, file, pairs, kernels=("xnnpack", "builtin", "reference"), num_threads=1
    )
    assert parity.absent == {}
    assert [entry.kernels for entry in parity.kernels] == ["xnnpack", "builtin", "reference"]
    assert parity.failures() == []
    assert parity.kernels[0].differing == 0
    kernels = sum(
        layer.kernel.value.shape.num_elements()
        for layer in network.layers
        if hasattr(layer, "kernel")
    )
    if name == "edsr_mobile":  # its head stands twice in the file
        kernels += network.get_layer("head").kernel.value.shape.num_elements()
    assert parity.weights == kernels
    for entry in parity.kernels:
        assert all(layer.given_codes.largest <= 1 for layer in entry.layers)
        assert entry.layers[-1].site == OUTPUT
        assert entry.layers[0].codes == sum(
            layer_size(entry.layers[0].site, network, low.shape)
            for low, _ in (pairs.load(i) for i in range(len(pairs)))
        )


@pytest.mark.parametrize(
    ("size", "options"),
    [(None, {"io_dtype": "uint8"}), (SIZE, {"io_dtype": "float32", "weights": "int4"})],
)
def test_other_forms_of_the_file_are_true_copies_too(student, pairs, tmp_path, size, options):
    network = biased(student(bits=4, scope="all"))
    file = written(tmp_path / "x.tflite", convert(network, size, **options))
    parity = compared(network, file, pairs)
    assert parity.failures() == []
    assert parity.weights > 5000
    summary = inspect(file.read_bytes())
    assert [check.kept for check in summary.checks] == [True, True, True]
    assert (summary.macs is None) == (size is None)


def layer_size(site, network, shape):
    return shape[0] * shape[1] * network.arriving.get(site, network.inputs[0]).shape[-1]


def test_the_layers_are_the_network(network):
    """Chained, they give the network's own codes and its own image."""
    low = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    codes = {IMAGE: as_int8(low[None], BYTES)}
    for layer in layers(network):
        codes[layer.site] = layer(codes)
    image = (codes[OUTPUT][0].astype(int) + 128).astype(np.uint8)
    np.testing.assert_array_equal(image, keras_upscale(network)(low))
    for name, site in network.sites.items():
        own = keras.Model(network.inputs[0], site.codes)(low[None].astype(np.float32))
        np.testing.assert_array_equal(codes[name], as_int8(own, site.held.in_file()))


def test_a_layer_is_integer_arithmetic(network):
    """Against a convolution of int64 codes in NumPy, with the bias rounded to an integer."""
    (layer,) = (x for x in layers(network) if x.site == "block_0_residual")
    (convolution,) = layer.convolutions
    stored, bias, scale = convolution.in_file()
    rng = np.random.default_rng(2)
    codes = rng.integers(-128, 128, (1, 6, 7, 8)).astype(np.int8)
    padded = np.pad(codes.astype(np.int64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    sums = np.einsum("nhwikl,klio->nhwo", windows, stored) + bias
    kernel = np.asarray(network.get_layer("block_0_conv_1").kernel.value)
    assert np.isclose(scale, np.abs(kernel).max() / 127)
    scales = [np.float32(held.scale) for held in (*layer.source_tensors, layer.tensor)]
    expected = np.clip(
        np.rint(sums.astype(np.float32) * (scales[0] * scale / scales[1])), -128, 127
    )
    np.testing.assert_array_equal(layer({"block_0_relu": codes}), expected)
    assert len(np.unique(expected)) > 50


def test_a_site_is_found_by_what_feeds_it_too(student):
    """Every range alike: scale and shape alone would name a dozen tensors."""
    network = student(scope="all")
    for layer in network.layers:
        if hasattr(layer, "alpha"):
            layer.alpha.assign(100.0)
    info = read_file(convert(network, SIZE))
    matches = match(layers(network), info)
    assert len({found.tensor for found in matches}) == len(matches)
    assert [found.layer.site for found in matches][-2:] == ["upsample_0_output", OUTPUT]
    assert check_weights(matches, info) > 5000


def test_the_chosen_ranges_come_from_the_file(student, images):
    network = student(scope="body")
    content = convert(network, SIZE, [images])
    whole, expected = simulation(network, read(content)), fully_quantized(network, [images])
    for ours, theirs in zip(whole.weights, expected.weights, strict=True):
        if "observations" not in ours.path:
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def constant(model, rank, position):
    """The data of the file's `position`-th constant of a rank, to be written to."""
    graph = model.subgraphs[0]
    buffers = [model.buffers[t.buffer] for t in graph.tensors if len(t.shape) == rank]
    buffer = [buffer for buffer in buffers if buffer.data is not None][position]
    buffer.data = buffer.data.copy()
    return buffer.data


def test_one_weight_code(network, content, pairs, tmp_path, repacked):
    def change(model):
        constant(model, 4, 3)[17] += np.uint8(1)

    file = written(tmp_path / "x.tflite", repacked(content, change))
    with pytest.raises(InputError, match=r"x\.tflite: .* 1 of \d+ weights of \w+ .* not the run's"):
        verify(network, file, pairs, kernels=["xnnpack"])


def test_one_bias(network, content, pairs, tmp_path, repacked):
    def change(model):
        constant(model, 1, 2).view(np.int32)[2] += 2

    file = written(tmp_path / "x.tflite", repacked(content, change))
    with pytest.raises(InputError, match=r"the bias of \w+ .* is not the run's"):
        verify(network, file, pairs, kernels=["xnnpack"])


def scaled(network, site, factor):
    """A change that scales the range of one site's tensor."""
    scale = np.float32(network.get_layer(site).alpha) / np.float32(127)

    def change(model):
        hit = [
            tensor.quantization
            for tensor in model.subgraphs[0].tensors
            if tensor.quantization is not None
            and tensor.quantization.scale is not None
            and len(tensor.quantization.scale) == 1
            and np.float32(tensor.quantization.scale[0]) == scale
        ]
        assert hit
        for quantization in hit:
            quantization.scale = [float(scale * np.float32(factor))]

    return change


def test_one_range(network, content, pairs, tmp_path, repacked):
    change = scaled(network, "block_1_relu", 1.001)
    file = written(tmp_path / "x.tflite", repacked(content, change))
    with pytest.raises(InputError, match="not the run's: no tensor in it is block_1_relu: scale"):
        verify(network, file, pairs, kernels=["xnnpack"])


def test_one_weight_scale(network, content, pairs, tmp_path, repacked):
    """No code of the file is another."""

    def change(model):
        graph = model.subgraphs[0]
        kernels = [t for t in graph.tensors if len(t.shape) == 4 and t.shape[1] == 3]
        scale = np.float32(kernels[2].quantization.scale[0])
        kernels[2].quantization.scale = [float(np.nextafter(scale, np.float32(1)))]

    file = written(tmp_path / "x.tflite", repacked(content, change))
    with pytest.raises(InputError, match=r"the scale of the weights of \w+ .* is not the run's"):
        verify(network, file, pairs, kernels=["xnnpack"])


def test_one_operator(network, content, pairs, tmp_path, repacked):
    """A convolution that no longer clips at 0: weights, biases and scales are all the run's."""

    def change(model):
        graph = model.subgraphs[0]
        options = [op.builtinOptions for op in graph.operators]
        next(
            o for o in options if getattr(o, "fusedActivationFunction", 0)
        ).fusedActivationFunction = 0

    file = written(tmp_path / "x.tflite", repacked(content, change))
    parity = compared(network, file, pairs)
    failures = parity.failures(Tolerance(psnr=100))
    assert len(failures) == 1
    assert "given the same codes (none may)" in failures[0]
    text = markdown(parity, Tolerance(psnr=100), failures)
    assert "Beyond what is allowed" in text
    assert failures[0] in text
    picture(tmp_path / "x.png", parity, Tolerance())
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


def test_another_psnr(network, content, pairs, tmp_path):
    parity = verify(
        network, written(tmp_path / "x.tflite", content), pairs, kernels=["xnnpack"], num_threads=1
    )
    assert parity.failures(Tolerance(), "xnnpack") == []
    (line,) = parity.failures(Tolerance(psnr=-1), "xnnpack")
    assert "PSNR-Y is" in line


def test_other_networks(student, network, content, pairs, tmp_path, images):
    file = written(tmp_path / "x.tflite", content)
    for other, message in (
        (student(scope="all", overrides={"blocks": 1}), "its overrides is .*'blocks': 2"),
        (student(scope="all", scale=3), "its scale is 2, the run's 3"),
        (student(scope="body"), "its recipe is .*'all'.* the run's .*'body'"),
        (student("rdn", scope="all"), "its preset is 'edsr_mobile', the run's 'rdn'"),
        (student(scope="all", headroom=1.1), "its range of block_0_input is .*, the run's"),
    ):
        with pytest.raises(InputError, match=f"not the run's: {message}"):
            verify(other, file, pairs, kernels=["xnnpack"])


def test_a_file_without_metadata(student, network, content, pairs, tmp_path, images, repacked):
    def strip(model):
        model.metadata = []

    file = written(tmp_path / "x.tflite", repacked(content, strip))
    assert compared(network, file, pairs).failures(Tolerance(), "xnnpack") == []
    body = student(scope="body")
    file = written(tmp_path / "y.tflite", repacked(convert(body, SIZE, [images]), strip))
    with pytest.raises(InputError, match="its metadata has no range for .*; export the run"):
        verify(body, file, pairs, kernels=["xnnpack"])
    file = written(tmp_path / "z.tflite", convert_float(body, SIZE))
    with pytest.raises(InputError, match=r"z\.tflite: the network in it is not the run's"):
        verify(network, file, pairs, kernels=["xnnpack"])


def test_broken_files(network, content, pairs, tmp_path):
    with pytest.raises(InputError, match=r"x\.tflite: truncated or corrupt"):
        verify(network, written(tmp_path / "x.tflite", content[:2000]), pairs)
    with pytest.raises(InputError, match="not a TensorFlow Lite file"):
        verify(network, written(tmp_path / "x.tflite", b"GIF89a" * 20), pairs)
    empty = datasets.ImagePairs("none", 2, (), (), ())
    with pytest.raises(InputError, match="'none' holds no images"):
        verify(network, written(tmp_path / "x.tflite", content), empty)
    file = written(tmp_path / "x.tflite", content)
    with pytest.raises(InputError, match="kernels='fast' is not possible"):
        verify(network, file, pairs, kernels=["fast"])


@pytest.mark.parametrize("target", ["npu", "ethos-u85"])
@pytest.mark.parametrize(
    "recipe",
    [
        {"bits": 8, "scope": "all"},
        {"bits": 8, "scope": "body"},
        {"bits": 4, "scope": "all", "per_channel": True},
    ],
)
def test_a_file_for_an_npu(student, images, pairs, tmp_path, recipe, target):
    network = biased(student(scale=2, **recipe))
    content = convert(network, (12, 16), [images], target=target)
    parity = verify(
        network, written(tmp_path / "x.tflite", content), pairs, kernels=["xnnpack"], num_threads=1
    )
    assert parity.failures(Tolerance(), "xnnpack") == []
    (same,) = parity.same_images
    # LR images of 20x28 and 24x18 in tiles of 12x16.
    assert (same.tiles, same.codes) == (8, 8 * 24 * 32 * 3)
    assert (same.differing, same.largest) == (0, 0)
    assert parity.target == target
    assert f"rewritten for `--target {target}`" in markdown(parity, Tolerance(), [])
    assert "all equal" in markdown(parity, Tolerance(), [])


@pytest.mark.parametrize("target", ["npu", "ethos-u85"])
def test_one_weight_code_of_a_file_for_an_npu(network, pairs, tmp_path, repacked, target):
    content = convert(network, (12, 16), target=target)
    graph = read_file(content).graph

    def change(position):
        operator = [operator for operator in graph if operator.name == "CONV_2D"][position]

        def changed(model):
            tensor = model.subgraphs[0].tensors[operator.inputs[1]]
            data = np.array(model.buffers[tensor.buffer].data, np.uint8).view(np.int8)
            largest = np.argmax(np.abs(data))
            data[largest] = -data[largest]
            model.buffers[tensor.buffer].data = data.view(np.uint8)

        return written(tmp_path / "x.tflite", repacked(content, changed))

    with pytest.raises(InputError, match="kernel or bias of 1 output channels are not those"):
        compared(network, change(3), pairs)
    if target == "ethos-u85":  # the last convolution is in another form: its images tell
        parity = compared(network, change(-1), pairs)
        (line,) = parity.failures(Tolerance(), "xnnpack")
        assert "image bytes differ" in line


def test_another_runs_file_for_an_npu(student, network, pairs, tmp_path):
    file = written(tmp_path / "x.tflite", convert(network, SIZE, target="npu"))
    with pytest.raises(InputError, match="its range of block_0_input is"):
        compared(student(scope="all", headroom=1.1), file, pairs)
