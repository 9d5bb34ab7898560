"""Which network some weights are, and that its Keras model computes what the PyTorch code does."""

import keras
import numpy as np
import pytest
import torch_networks as networks

from pams_tf import InputError, QuantizationRecipe, models
from pams_tf.models.layouts.catalogue import LAYOUTS, recognise
from pams_tf.models.layouts.layout import Options

NUMBERED = ("conv1", "conv2", "conv3")
PARTS = ("first_part.0", "first_part.2", "last_part.0")
MAPS = ("feature_maps.0", "feature_maps.2", "sub_pixel.0")
MID = [("first_part.0", "first_part.1")]
MID += [(f"mid_part.{2 * i}", f"mid_part.{2 * i + 1}") for i in range(4)]
NAMED = [("feature_extraction.0", "feature_extraction.1"), ("shrink.0", "shrink.1")]
NAMED += [("map.0", "map.1"), ("map.2", "map.3"), ("expand.0", "expand.1")]
ABPN = ("backbone.0", "backbone.2.0", "backbone.3.0", "backbone.4", "backbone.6")
ETDS = ("conv_first", "backbone_convs.0", "backbone_convs.1", "conv_last")
NESTED = ("net.head.0", "net.head.2.0", "net.head.2.2", "net.head.4")


def blocks(count, convolution, activation):
    """ECBSR's modules: of each block the convolution, and the PReLU, which the last one lacks."""
    names = [f"backbone.{i}.{convolution}" for i in range(count)]
    slopes = [f"backbone.{i}.{activation}" for i in range(count - 1)]
    return names, [*slopes, None]


def ecbsr(rng, scale, convolution, activation, colours=3):
    names, slopes = blocks(4, convolution, activation)
    return networks.chain(rng, scale, names, True, colours, slopes)


# Name: (weights and forward pass, layout, scale, words of the description, what must be said).
CASES = {
    "compact": (lambda r: networks.compact(r, 2), "compact", 2, "PReLU", {}),
    "compact_x4": (lambda r: networks.compact(r, 4), "compact", 4, "6 features", {}),
    "compact_one_slope": (lambda r: networks.compact(r, 3, slopes=1), "compact", 3, "RGB", {}),
    "compact_y": (lambda r: networks.compact(r, 2, colours=1), "compact", 2, ", Y,", {}),
    "compact_relu": (
        lambda r: networks.compact(r, 2, "relu"), "compact_relu", 2, ", ReLU", {"layout"},
    ),
    "compact_leaky_relu": (
        lambda r: networks.compact(r, 2, "leaky"), "compact_leaky_relu", 2, "Leaky", {"layout"},
    ),
    "espcn_sigmoid": (
        lambda r: networks.espcn(r, 3, NUMBERED, 3, sigmoid=True),
        "espcn_sigmoid", 3, "sigmoid", {"layout"},
    ),
    "espcn_numbered": (lambda r: networks.espcn(r, 3, NUMBERED), "espcn", 3, "tanh", {"layout"}),
    "espcn_parts": (lambda r: networks.espcn(r, 2, PARTS), "espcn", 2, ", Y,", {}),
    "espcn_maps": (lambda r: networks.espcn(r, 4, MAPS, bias=False), "espcn", 4, "8 features", {}),
    "espcn_relu": (
        lambda r: networks.espcn(r, 2, (*NUMBERED, "conv4"), activation=networks.relu),
        "espcn_relu", 2, "4 convolutions", {},
    ),
    "fsrcnn_x2": (lambda r: networks.fsrcnn(r, 2, MID, "last_part"), "fsrcnn", 2, "Y", {"scale"}),
    "fsrcnn_x3": (lambda r: networks.fsrcnn(r, 3, NAMED, "deconv"), "fsrcnn", 3, "Y", {"scale"}),
    "fsrcnn_x4": (
        lambda r: networks.fsrcnn(r, 4, MID, "last_part", 3), "fsrcnn", 4, "RGB", {"scale"},
    ),
    "abpn": (lambda r: networks.chain(r, 3, ABPN, True), "abpn", 3, "ABPN x3", {}),
    "abpn_et": (
        lambda r: networks.chain(
            r, 3, (*ABPN, "backbone.8"), False, sizes=[3] * 5 + [1], end_relu=True, spare=1
        ),
        "abpn", 3, "ABPN-ET x3", {},
    ),
    "ecbsr": (lambda r: ecbsr(r, 2, "0", "1"), "ecbsr", 2, "ECBSR x2", {}),
    "ecbsr_y": (lambda r: ecbsr(r, 2, "conv3x3", "act", 1), "ecbsr", 2, ", Y,", {}),
    "ecbsr_branches": (
        lambda r: networks.ecbsr_branches(r, 2), "ecbsr_branches", 2, "ECBSR", {"layout"},
    ),
    "ecbsr_branches_identity": (
        lambda r: networks.ecbsr_branches(r, 2, identity=True),
        "ecbsr_branches_identity", 2, "ECBSR", {"layout"},
    ),
    "etds_x2": (
        lambda r: networks.chain(
            r, 2, (*ETDS, "conv_clip"), False, sizes=[3] * 4 + [1], end_relu=True
        ),
        "etds", 2, "ETDS x2", {},
    ),
    "etds_x3": (
        lambda r: networks.chain(
            r, 3, (*ETDS, "conv_clip"), False, sizes=[3] * 4 + [1], end_relu=True, spare=1
        ),
        "etds", 3, "ETDS x3", {},
    ),
    "etds_branches": (lambda r: networks.etds_branches(r, 3), "etds_branches", 3, "ETDS", {}),
    "plain": (lambda r: networks.chain(r, 2, ETDS, False), "plain", 2, "plain", {"layout"}),
    "plain_anchor": (
        lambda r: networks.chain(r, 2, ETDS, True), "plain_anchor", 2, "added", {"layout"},
    ),
    "chain": (lambda r: networks.chain(r, 2, NESTED, False), "chain", 2, "chain", {"layout"}),
    "chain_anchor": (
        lambda r: networks.chain(r, 2, ("0", "2", "4"), True, 1), "chain_anchor", 2, ", Y,",
        {"layout"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_network_is_told_and_computes_what_pytorch_does(name):
    make, layout, scale, words, said = CASES[name]
    state, forward = make(np.random.default_rng(7))
    said = {key: {"layout": layout, "scale": scale}[key] for key in said}
    fit = recognise(state, "w.pth", **said)
    assert (fit.layout, fit.scale) == (layout, scale)
    assert words in fit.described
    model = fit.build(Options())
    assert not isinstance(model, models.SuperResolution)
    colours = model.input_shape[-1]
    assert model.input_shape == (None, None, None, colours)
    x = np.random.default_rng(8).uniform(0, 255, (2, 9, 7, colours)).astype(np.float32)
    expected = 255 * forward(x.transpose(0, 3, 1, 2) / 255.0).transpose(0, 2, 3, 1)
    y = np.asarray(model(x))
    assert y.shape == (2, scale * 9, scale * 7, colours)
    assert np.std(expected) > 5  # of the image range; else the comparison would say little
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[4]])
def test_shapes_that_fit_several_networks(name):
    make, layout, scale, _, said = CASES[name]
    state, _ = make(np.random.default_rng(7))
    with pytest.raises(InputError) as caught:
        recognise(state, "w.pth")
    message = str(caught.value)
    assert "w.pth: the shapes fit" in message
    choice = f"--scale {scale}" if said == {"scale"} else f"--layout {layout}"
    assert f"{choice} (grey " in message
    assert "\n" not in message


def test_a_trained_network_is_the_one_that_keeps_grey():
    """Of FSRCNN's strides only the right one makes the 9x9 kernels overlap evenly."""
    state, _ = networks.fsrcnn(np.random.default_rng(7), 2, MID, "last_part")
    for name in state:
        state[name] = np.zeros_like(state[name])
    for convolution, slopes in MID:  # channel 0 carries the image
        kernel = state[f"{convolution}.weight"]
        kernel[0, 0, kernel.shape[2] // 2, kernel.shape[3] // 2] = 1
        state[f"{slopes}.weight"][:] = 0.25
    tent = np.array([0, 0, 0, 0.5, 1, 0.5, 0, 0, 0], np.float32)  # linear interpolation x2
    state["last_part.weight"][0, 0] = np.outer(tent, tent)
    with pytest.raises(InputError, match=r"--scale 2 \(grey 128\.0\).*--scale 3 \(grey 56\.\d\)"):
        recognise(state, "w.pth")


def test_images_of_another_range():
    """f(x) = 255 g(x / 255) if g has the biases of f over 255."""
    state, forward = networks.compact(np.random.default_rng(7), 2)
    model = recognise(state, "w.pth").build(Options(image_range=255))
    x = np.random.default_rng(8).uniform(0, 255, (1, 6, 7, 3)).astype(np.float32)
    expected = forward(x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=0, atol=1e-3)
    with pytest.raises(InputError, match="image_range=2 is not possible"):
        Options(image_range=2)


def test_a_model_is_saved_and_loaded(tmp_path):
    state, _ = networks.compact(np.random.default_rng(7), 3)
    model = recognise(state, "w.pth").build(Options())
    models.save(model, tmp_path / "compact.keras")
    again = keras.saving.load_model(tmp_path / "compact.keras", compile=False)
    x = np.random.default_rng(8).uniform(0, 255, (1, 5, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(again(x)), np.asarray(model(x)))


def released(golden, name):
    data = golden(name)
    return data, {
        key.removeprefix("weights/"): value
        for key, value in data.items()
        if key.startswith("weights/")
    }


def basicsr(weights):
    """BasicSR's names for the released ones of an EDSR of two blocks."""
    fixed = {"head.0": "conv_first", "body.2": "conv_after_body", "tail.1": "conv_last"}
    fixed |= {"tail.0.0": "upsample.0", "tail.0.2": "upsample.2"}
    for i in range(2):
        fixed |= {f"body.{i}.body.0": f"body.{i}.conv1", f"body.{i}.body.2": f"body.{i}.conv2"}
    return renamed({k: v for k, v in weights.items() if not k.startswith(("sub_", "add_"))}, fixed)


def yjn870(weights):
    """yjn870's names for the released ones of an RDN (two blocks, three layers), in [0, 1]."""
    fixed = {"SFENet1": "sfe1", "SFENet2": "sfe2", "GFF.0": "gff.0", "GFF.1": "gff.1"}
    last = max(int(name.split(".")[1]) for name in weights if name.startswith("UPNet"))
    fixed |= {f"UPNet.{i}": f"upscale.{i}" for i in range(last)} | {f"UPNet.{last}": "output"}
    for i in range(2):
        fixed |= {f"RDBs.{i}.LFF": f"rdbs.{i}.lff"}
        fixed |= {f"RDBs.{i}.convs.{j}.conv.0": f"rdbs.{i}.layers.{j}.conv" for j in range(3)}
    weights = {k: v / 255 if k.endswith(".bias") else v for k, v in weights.items()}
    return renamed(weights, fixed)


def renamed(weights, modules):
    parts = [(*name.rpartition("."), value) for name, value in weights.items()]
    return {f"{modules[module]}.{kind}": value for module, _, kind, value in parts}


@pytest.mark.parametrize(
    ("name", "scale", "rename", "layout"),
    [
        ("edsr", 2, dict, "edsr"),
        ("edsr", 3, basicsr, "edsr_basicsr"),
        ("edsr", 4, basicsr, "edsr_basicsr"),
        ("rdn", 3, dict, "rdn"),
        ("rdn", 2, yjn870, "rdn_yjn870"),
        ("rdn", 4, yjn870, "rdn_yjn870"),
    ],
)
def test_edsr_and_rdn_in_every_layout(golden, name, scale, rename, layout):
    data, weights = released(golden, f"{name}_float_x{scale}")
    fit = recognise(rename(weights), "w.pth")
    assert (fit.layout, fit.scale) == (layout, scale)
    model = fit.build(Options())
    assert isinstance(model, models.SuperResolution)
    assert model.scale == scale
    y = np.asarray(model(data["x"].transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(y, data["y"], rtol=0, atol=1e-3)


def test_a_preset_is_told_by_its_size():
    for preset in ("edsr_mobile", "rdn_a"):
        network = models.build(preset, 2)
        fit = recognise(shapes_of(network), "w.pth")
        assert f"({preset})" in fit.described


def shapes_of(network):
    from pams_tf.models.torch_weights import released_entries

    return {
        name: np.zeros(entry.released_shape, np.float32)
        for name, entry in released_entries(network)
    }


def test_a_student_needs_its_bits(golden):
    _, weights = released(golden, "edsr_pams_official_bits8")
    fit = recognise(weights, "w.pth")
    assert "PAMS student" in fit.described
    with pytest.raises(InputError, match="do not say its bit width"):
        fit.build(Options())
    student = fit.build(Options(QuantizationRecipe(bits=8)))
    alpha = weights["body.1.quant_act3.alpha"][0]
    assert float(student.get_layer("block_1_residual").alpha) == alpha


def test_options_of_another_network(golden):
    state, _ = networks.compact(np.random.default_rng(7), 2)
    fit = recognise(state, "w.pth")
    with pytest.raises(InputError, match="SRVGGNetCompact has no setting bits, blocks"):
        fit.build(Options(QuantizationRecipe(), {"blocks": 3}))
    _, weights = released(golden, "edsr_float_x2")
    with pytest.raises(InputError, match=r"EDSR takes images in \[0, 255\]"):
        recognise(weights, "w.pth").build(Options(image_range=1))


def changed(shapes):
    """Weights of SRVGGNetCompact x2 in which some have other shapes; None for missing ones."""
    state, _ = networks.compact(np.random.default_rng(7), 2)
    for name, shape in shapes.items():
        state.pop(f"body.{name}", None)
        if shape is not None:
            state[f"body.{name}"] = np.zeros(shape, np.float32)
    return dict(state)


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ({"6.weight": (10, 6, 3, 3), "6.bias": (10,)}, "yields 10 channels, which is 3 . scale"),
        ({"6.weight": (75, 6, 3, 3), "6.bias": (75,)}, "for no scale of 2, 3, 4"),
        ({"2.weight": (6, 5, 3, 3)}, r"body\.2\.weight \[6, 5, 3, 3\] reads 5 channels, not 6"),
        ({"2.weight": (6, 6, 2, 2)}, "is no kernel with odd, equal sides"),
        ({"2.weight": (6, 6, 3)}, "is no kernel and no slopes"),
        ({"2.bias": (7,)}, r"body\.2\.bias \[7\] should be \[6\]"),
        ({"3.weight": (5,)}, r"body\.3\.weight \[5\] should be \[6\]"),
        ({"3.weight": None}, r"body\.3\.weight, the slopes of a PReLU, is missing"),
        ({"2.weight": None}, r"body\.2\.weight is missing"),
        ({"0.weight": (6, 12, 3, 3)}, r"takes 12 channels, not 3 \(RGB\) or 1 \(Y\)"),
        ({"9.weight": (4,)}, r"body\.9\.weight \[4\] should be \[12\]"),
        ({"0.running_mean": (6,)}, r"it has no body\.0\.running_mean"),
        ({"0.weight": (0, 3, 3, 3)}, "is no kernel"),
        ({"0.weight": ()}, "is no kernel"),
    ],
)
def test_the_nearest_layout_and_what_does_not_fit(shapes, reason):
    with pytest.raises(InputError, match=reason) as caught:
        recognise(changed(shapes), "w.pth")
    assert "w.pth: " in str(caught.value)
    assert "nearest is compact, but" in str(caught.value)
    assert "body.0." in str(caught.value)  # the tensors are listed
    assert len(str(caught.value)) < 1500


def test_an_unknown_layout_is_listed_within_bounds_and_without_escape_codes():
    state = {f"block{i}.attention\x1b[31m.qkv{'x' * 300}": np.zeros((4, 4)) for i in range(500)}
    with pytest.raises(InputError) as caught:
        recognise(state, "w.pth")
    message = str(caught.value)
    assert "w.pth: 500 tensors of no known layout: block0.attention?[31m" in message
    assert "and 488 more" in message
    assert all(name in message for name in LAYOUTS)
    assert "nearest" not in message
    assert message.isprintable()
    assert len(message) < 1500


def test_a_wrong_layout_or_scale():
    state, _ = networks.compact(np.random.default_rng(7), 2)
    with pytest.raises(InputError, match=r"w\.pth: is SRVGGNetCompact x2, .*, not x3"):
        recognise(state, "w.pth", scale=3)
    with pytest.raises(InputError, match=r"not of layout etds: it has no body\.0\.weight"):
        recognise(state, "w.pth", layout="etds")
    with pytest.raises(InputError, match=r"unknown layout 'esrgan'; choose one of compact, "):
        recognise(state, "w.pth", layout="esrgan")


def test_numbers_with_gaps_build_nothing(golden):
    _, weights = released(golden, "edsr_float_x2")
    weights["body.9999.body.0.weight"] = weights["body.0.body.0.weight"]
    with pytest.raises(InputError, match=r"nearest is edsr, but body\.2 is missing"):
        recognise(weights, "w.pth")
