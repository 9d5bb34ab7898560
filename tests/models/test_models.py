"""Networks: the released code's results, parameter counts, sites, saving, bad requests."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from pams_tf import InputError, QuantizationRecipe, models
from pams_tf.models.blocks import RGB_MEAN
from pams_tf.models.torch_weights import load_released
from pams_tf.models.transfer import transfer_weights
from pams_tf.quantization import ActivationQuantizer, PamsQuantizer, QuantConv2D, functional

SMALL = {
    "edsr_baseline": {"blocks": 2, "features": 8},
    "rdn": {"blocks": 2, "features": 8, "layers": 3, "growth": 8},
}


def released(data):
    return {
        key.removeprefix("weights/"): value
        for key, value in data.items()
        if key.startswith("weights/")
    }


def run(model, x):
    """NCHW in and out, as the golden files are."""
    outputs = model.with_feature(x.transpose(0, 2, 3, 1))
    return [np.asarray(output).transpose(0, 3, 1, 2) for output in outputs]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["edsr_baseline", "rdn"])
def test_float_network_is_the_released_one(golden, name, scale):
    data = golden(f"{name.split('_')[0]}_float_x{scale}")
    model = models.build(name, scale, **SMALL[name])
    load_released(model, released(data))
    y, feature = run(model, data["x"])
    np.testing.assert_allclose(y, data["y"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(feature, data["feature"], rtol=0, atol=1e-3)


@pytest.mark.parametrize("bits", [8, 4])
def test_rdn_student_is_the_released_one(golden, bits, monkeypatch):
    """In float, as the released code simulates: there biases are not rounded to integers."""
    monkeypatch.setattr(QuantizationRecipe, "fits_int8", False)
    data = golden(f"rdn_pams_bits{bits}")
    model = models.build("rdn", 2, QuantizationRecipe(bits=bits), **SMALL["rdn"])
    load_released(model, released(data))
    y, feature = run(model, data["x"])
    coarsest = max(float(layer.alpha) for layer in model.layers if hasattr(layer, "alpha"))
    step = coarsest / (2 ** (bits - 1) - 1)
    for ours, theirs in ((y, data["y"]), (feature, data["feature"])):
        difference = np.abs(ours - theirs)
        assert difference.max() <= step
        # Float noise decides codes that lie on a tie; all others agree to float precision.
        assert np.mean(difference > 1e-3) < 0.01


@pytest.mark.parametrize("bits", [8, 4])
def test_edsr_student_takes_the_released_alphas(golden, bits):
    """The released block convolves its unquantized input; ours the quantized one (documented)."""
    data = golden(f"edsr_pams_official_bits{bits}")
    model = models.build(
        "edsr_baseline", 2, QuantizationRecipe(bits=bits), **SMALL["edsr_baseline"]
    )
    weights = released(data)
    load_released(model, weights)
    sites = {"quant_act1": "input", "quant_act2": "relu", "quant_act3": "residual"}
    for i in range(2):
        for theirs, ours in sites.items():
            alpha = model.get_layer(f"block_{i}_{ours}").alpha
            assert float(alpha) == weights[f"body.{i}.{theirs}.alpha"][0]
    assert list(data["alphas_used"]) == [f"body.{i}.{name}" for i in range(2) for name in sites]
    y, _ = run(model, data["x"])
    expected = numpy_edsr_student(data["x"], weights, bits)
    assert np.mean(np.abs(y - expected) > 1e-2) < 0.01
    # The difference between the two designs, for the record: real, and small.
    assert 0.1 < np.abs(y - data["y"]).max() < 10


def numpy_edsr_student(x, w, bits):
    """EDSR x2 with two blocks in plain NumPy, NCHW; both paths read the quantized block input."""
    n = 2 ** (bits - 1) - 1

    def grid(v, a):
        return np.rint(np.clip(v, -a, a) / (a / n)) * (a / n)

    def conv(v, name, alpha=None):
        kernel, bias = w[f"{name}.weight"], w[f"{name}.bias"]
        if alpha is not None:
            limit = np.abs(kernel).max()
            kernel = grid(kernel, limit)
            unit = np.float64(alpha / n) * (limit / n)
            bias = np.rint(bias / unit) * unit
        k = kernel.shape[-1] // 2
        v = np.pad(v, ((0, 0), (0, 0), (k, k), (k, k)))
        windows = np.lib.stride_tricks.sliding_window_view(v, kernel.shape[2:], axis=(2, 3))
        y = np.einsum("nchwij,ocij->nohw", windows, kernel, optimize=True)
        return y + bias[:, None, None]

    mean = w["add_mean.bias"][:, None, None]
    head = y = conv(x - mean, "head.0")
    for i in range(2):
        block = f"body.{i}"
        a1, a2, a3 = (w[f"{block}.quant_act{k}.alpha"][0] for k in (1, 2, 3))
        y = grid(y, a1)
        r = grid(np.maximum(conv(y, f"{block}.body.0", a1), 0), a2)
        y = y + grid(conv(r, f"{block}.body.3", a2), a3)
    y = conv(head + conv(y, "body.2"), "tail.0.0")
    b, c, h, width = y.shape
    y = y.reshape(b, c // 4, 2, 2, h, width).transpose(0, 1, 4, 2, 5, 3)
    return conv(y.reshape(b, c // 4, 2 * h, 2 * width), "tail.1") + mean


@pytest.mark.parametrize(
    ("name", "scale", "count"),
    [
        ("edsr_baseline", 2, 1_369_859),
        ("edsr_baseline", 3, 1_554_499),
        ("edsr_baseline", 4, 1_517_571),
        ("rdn", 2, 22_123_395),
        ("rdn", 3, 22_308_035),
        ("rdn", 4, 22_271_107),
    ],
)
def test_parameter_counts(name, scale, count):
    assert models.build(name, scale).count_params() == count


PLAIN = {"plain_small": (5, 28), "plain_medium": (6, 32), "plain_large": (7, 48)}


@pytest.mark.parametrize("name", [name for name in models.presets() if name not in PLAIN])
def test_presets_are_built_as_described(name):
    sizes = {
        "edsr_baseline": (16, 64, None, None),
        "edsr": (32, 256, None, None),
        "edsr_mobile": (5, 32, None, None),
        "edsr_small": (5, 48, None, None),
        "edsr_nano": (3, 32, None, None),
        "rdn": (16, 64, 8, 64),
        "rdn_small": (4, 32, 4, 16),
        "rdn_a": (20, 64, 6, 32),
    }
    blocks, features, layers, growth = sizes[name]
    names = [layer.name for layer in models.build(name, 2).layers]
    assert f"block_{blocks - 1}_add" in names
    assert f"block_{blocks}_add" not in names
    model = models.build(name, 2)
    if layers is None:
        assert model.get_layer("block_0_conv_0").kernel.shape == (3, 3, features, features)
        gains = [layer.scale for layer in model.layers if layer.name.endswith("_gain")]
        assert gains == ([0.1] * 32 if name == "edsr" else [])
    else:
        last = model.get_layer(f"block_0_dense_{layers - 1}").kernel
        assert last.shape == (3, 3, features + (layers - 1) * growth, growth)
        assert f"block_0_dense_{layers}" not in names


@pytest.mark.parametrize("name", ["edsr_baseline", "rdn"])
def test_scope_says_where_quantizers_stand(name):
    def named(scope, kind):
        model = models.build(name, 4, QuantizationRecipe(scope=scope, bits=4), **SMALL[name])
        return {layer.name: layer for layer in model.layers if isinstance(layer, kind)}

    body, whole = named("body", ActivationQuantizer), named("all", ActivationQuantizer)
    assert body.keys() < whole.keys()
    assert len(body) == {"edsr_baseline": 6, "rdn": 9}[name]
    assert {layer.bits for layer in body.values()} == {4}
    assert {whole[site].bits for site in whole.keys() - body.keys()} == {8}  # head_tail_bits
    edges = {"edsr_baseline": ("head", "body", "tail"), "rdn": ("shallow_0", "shallow_1", "tail")}
    convolutions = named("body", QuantConv2D)
    assert not set(edges[name]) & convolutions.keys()
    assert set(edges[name]) < named("all", QuantConv2D).keys()


def test_body_scope_counts_as_table_3():
    """Storage in millions of 32-bit words: weights and biases of quantized convolutions shrink."""
    for name, scale, table in (("edsr_baseline", 4, (0.631, 0.484)), ("rdn", 4, (5.82, 3.08))):
        for bits, expected in zip((8, 4), table, strict=True):
            model = models.build(name, scale, QuantizationRecipe(bits=bits))
            quantized = sum(
                layer.count_params() for layer in model.layers if isinstance(layer, QuantConv2D)
            )
            total = models.build(name, scale).count_params()
            words = (total - quantized + quantized * bits / 32) / 1e6
            assert abs(words - expected) < 0.006


@pytest.mark.parametrize("name", ["edsr_baseline", "rdn"])
@pytest.mark.parametrize("scope", ["body", "all"])
def test_student_at_16_bits_is_the_float_network(name, scope):
    keras.utils.set_random_seed(5)
    teacher = models.build(name, 2, **SMALL[name])
    recipe = QuantizationRecipe(bits=16, scope=scope, head_tail_bits=16)
    student = models.build(name, 2, recipe, **SMALL[name])
    transfer_weights(teacher, student)
    for layer in student.layers:
        if isinstance(layer, PamsQuantizer):
            layer.alpha.assign(2000.0)
    x = np.random.default_rng(5).uniform(0, 255, (1, 9, 12, 3)).astype(np.float32)
    # Scope "all" holds the image at 8 bits after the mean is off: half a grid step and a little.
    tolerance = 0.5 if scope == "body" or name == "rdn" else 2.0
    assert np.abs(student(x) - teacher(x)).max() < tolerance


@pytest.mark.parametrize(
    ("name", "recipe", "overrides"),
    [
        ("edsr_mobile", None, {"blocks": 1, "batch_norm": True}),
        ("edsr_mobile", QuantizationRecipe(bits=4, scope="all", per_channel=True), {"blocks": 1}),
        ("rdn_a", QuantizationRecipe(bits=2, alpha_gradient="rounding"), SMALL["rdn"]),
    ],
)
def test_save_and_load(tmp_path, name, recipe, overrides):
    model = models.build(name, 3, recipe, **overrides)
    models.save(model, tmp_path / "deep" / "model.keras")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model.keras"]
    loaded = models.load(tmp_path / "deep" / "model.keras")
    assert (loaded.preset, loaded.scale, loaded.recipe) == (name, 3, recipe)
    assert loaded.overrides == overrides
    x = np.random.default_rng(6).uniform(0, 255, (2, 8, 7, 3)).astype(np.float32)
    np.testing.assert_array_equal(model(x), loaded(x))
    assert loaded(x).shape == (2, 24, 21, 3)


def test_batch_normalization_stands_behind_both_convolutions():
    model = models.build("edsr_mobile", 2, blocks=2, batch_norm=True)
    norms = [la.name for la in model.layers if isinstance(la, keras.layers.BatchNormalization)]
    assert norms == [f"block_{i}_conv_{k}_bn" for i in range(2) for k in range(2)]


@pytest.mark.parametrize(
    ("arguments", "overrides", "message"),
    [
        (("edsr_tiny", 2), {}, "unknown network 'edsr_tiny'; choose one of edsr_baseline"),
        (("edsr", 5), {}, "scale=5 is not possible; choose one of 2, 3, 4"),
        (("edsr", 2), {"growth": 8}, "edsr has no setting 'growth'; it has blocks"),
        (("rdn", 2), {"batch_norm": True}, "rdn has no setting 'batch_norm'"),
        (("edsr", 2), {"blocks": 0}, "blocks=0 is not possible"),
        (("edsr", 2), {"features": 8.5}, r"features=8\.5 is not possible"),
        (("edsr", 2), {"batch_norm": 1}, "batch_norm=1 is not possible"),
    ],
)
def test_bad_requests(arguments, overrides, message):
    with pytest.raises(InputError, match=message):
        models.build(*arguments, **overrides)


def test_load_refuses_other_files(tmp_path):
    with pytest.raises(InputError, match=r"missing\.keras: no such file"):
        models.load(tmp_path / "missing.keras")
    (tmp_path / "foreign.keras").write_bytes(b"not a zip file")
    with pytest.raises(InputError, match=r"foreign\.keras: not a network that Keras reads"):
        models.load(tmp_path / "foreign.keras")
    image = keras.Input((4, 4, 3))
    keras.Model(image, keras.layers.ReLU()(image)).save(tmp_path / "other.keras")
    with pytest.raises(
        InputError, match="pixels of .* a network enlarges every image by 2, 3 or 4"
    ):
        models.load(tmp_path / "other.keras")
    whole = tmp_path / "whole.keras"
    models.save(models.build("edsr_mobile", 2, blocks=1), whole)
    (tmp_path / "cut.keras").write_bytes(whole.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"cut\.keras: not a network that Keras reads"):
        models.load(tmp_path / "cut.keras")


def test_save_to_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    model = models.build("edsr_mobile", 2, blocks=1)
    models.save(model, path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(model), "save", full)
    with pytest.raises(InputError, match=r"model\.keras: No space left on device; free some space"):
        models.save(model, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_names_in_released_files_are_complete():
    """Full-size networks ask for exactly the names and shapes the released files have."""
    from pams_tf.models.torch_weights import released_entries

    shapes = json.loads(
        (Path(__file__).parents[1] / "golden" / "state_dict_shapes.json").read_text()
    )
    presets = {"edsr_baseline": "edsr_baseline", "rdn_b": "rdn"}
    for released_name, parameters in shapes.items():
        name, _, scale = released_name.rpartition("_x")
        model = models.build(presets[name], int(scale))
        ours = {key: list(entry.released_shape) for key, entry in released_entries(model)}
        theirs = {k: v for k, v in parameters.items() if not k.startswith(("sub_", "add_"))}
        assert ours == theirs


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_direct_upsampler_is_one_convolution_at_the_low_resolution(scale):
    """Its image, from its own feature, in plain NumPy."""
    keras.utils.set_random_seed(7)
    model = models.build("edsr_nano", scale, blocks=1, features=4)
    x = np.random.default_rng(7).uniform(0, 255, (1, 6, 5, 3)).astype(np.float32)
    image, feature = (np.asarray(y)[0] for y in model.with_feature(x))
    kernel = model.get_layer("tail").kernel.numpy()
    assert kernel.shape == (3, 3, 4, 3 * scale**2)
    padded = np.pad(feature, ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    y = np.einsum("hwcij,ijco->hwo", windows, kernel).reshape(6, 5, scale, scale, 3)
    expected = y.transpose(0, 2, 1, 3, 4).reshape(6 * scale, 5 * scale, 3) + RGB_MEAN
    np.testing.assert_allclose(image, expected, atol=1e-2)


@pytest.mark.parametrize(("name", "size"), PLAIN.items())
def test_plain_networks_are_a_chain_and_the_image(name, size):
    convolutions, features = size
    network = models.build(name, 3)
    kernels = [layer.kernel.shape for layer in network.layers if hasattr(layer, "kernel")]
    inside = [(3, 3, features, features)] * convolutions
    assert kernels == [(3, 3, 3, features), *inside, (3, 3, features, 27)]
    network.get_layer("tail_residual").set_weights(
        [np.zeros_like(w) for w in network.get_layer("tail_residual").get_weights()]
    )
    image = np.random.default_rng(1).uniform(0, 255, (1, 5, 6, 3)).astype(np.float32)
    expected = image.repeat(3, axis=1).repeat(3, axis=2)
    np.testing.assert_allclose(network(image), expected, atol=1e-4)


def test_branches_are_saved(tmp_path):
    keras.utils.set_random_seed(3)
    network = models.build("plain_small", 2, convolutions=2, features=6, expansion=9)
    image = np.random.default_rng(3).uniform(0, 255, (1, 9, 8, 3)).astype(np.float32)
    models.save(network, tmp_path / "branches.keras")
    np.testing.assert_array_equal(models.load(tmp_path / "branches.keras")(image), network(image))


def test_branches_are_merged_into_one_kernel():
    keras.utils.set_random_seed(2)
    network = models.build("plain_small", 2, convolutions=2, features=6, expansion=9)
    image = np.random.default_rng(2).uniform(0, 255, (1, 9, 8, 3)).astype(np.float32)
    merged = models.merged(network)
    assert merged.overrides == {"convolutions": 2, "features": 6}
    assert merged.count_params() < network.count_params()
    np.testing.assert_allclose(merged(image), network(image), rtol=1e-4, atol=1e-2)
    assert models.merged(merged) is merged
    # The branches by themselves: a convolution, one to hidden channels and 1x1 behind it, identity.
    layer = network.get_layer("conv_1")
    x = np.random.default_rng(3).normal(size=(1, 7, 7, 6)).astype(np.float32)
    conv = lambda x, kernel: keras.ops.conv(x, kernel, padding="same")  # noqa: E731
    hidden = conv(x, layer.expand.numpy())
    expected = conv(x, layer.kernel.numpy()) + hidden @ layer.project.numpy() + x
    np.testing.assert_allclose(layer(x), expected + layer.bias.numpy(), rtol=1e-4, atol=1e-4)


def test_bits_for_a_layer_that_the_network_lacks():
    recipe = QuantizationRecipe(bits=4, layer_bits={"block_0_conv0": 8})
    with pytest.raises(
        InputError, match=r"names 'block_0_conv0', .* edsr_nano x2.* block_0_conv_0,"
    ):
        models.build("edsr_nano", 2, recipe)
    recipe = QuantizationRecipe(bits=4, layer_bits={"head": 6, "block_0_relu": 3})
    student = models.build("edsr_nano", 2, recipe)  # of scope "body": the head stays float
    assert student.get_layer("block_0_relu").bits == 3
    whole = models.with_recipe(student, recipe.replace(scope="all"))
    assert whole.get_layer("head").bits == 6


def test_a_learned_clip_is_fitted_kept_and_loaded(tmp_path):
    teacher = models.build("edsr_nano", 2, blocks=1, features=4)
    recipe = QuantizationRecipe(bits=3, weight_range="learned", per_channel=True)
    student = models.with_recipe(teacher, recipe)
    layer = student.get_layer("block_0_conv_0")
    kernel = teacher.get_layer("block_0_conv_0").kernel.numpy()
    expected = functional.best_clip(kernel, 3, per_channel=True)
    np.testing.assert_allclose(np.ravel(layer.clip), expected, rtol=1e-6)
    layer.set_clip(np.full(4, 0.125))
    models.save(student, tmp_path / "student.keras")
    for again in (models.load(tmp_path / "student.keras"), models.with_recipe(student, recipe)):
        np.testing.assert_array_equal(np.ravel(again.get_layer(layer.name).clip), 0.125)
    whole = models.with_recipe(student, recipe.replace(scope="all"))
    assert np.all(np.ravel(whole.get_layer(layer.name).clip) == 0.125)
    assert np.all(np.ravel(whole.get_layer("head").clip) < 1)  # fitted, not the placeholder
