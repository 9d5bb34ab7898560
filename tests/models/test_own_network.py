"""A network of one's own: registered, trained, exported for every target, proven."""

import dataclasses
import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest

from pams_tf import InputError, QuantizationRecipe, convert, models, quantize, verify
from pams_tf.evaluation.upscaler import tflite_upscale
from pams_tf.litert.receptive_field import receptive_field_radius
from pams_tf.models import registry


@dataclasses.dataclass(frozen=True)
class PlainConfig:
    """Three convolutions, the first one's result added to the second's."""

    features: int = 8

    def radius(self, scale):
        return 3


def plain(image, config, scale, sites):
    x = sites.convolution(image, config.features, 3, "head", body=False, relu=True)
    first = sites.activation(x, "head_output", body=False, after_relu=True)
    y = sites.convolution(first, config.features, 3, "middle")
    y = sites.activation(y, "middle_output")
    feature = sites.add([first, y], "add")
    x = sites.activation(feature, "feature", body=False)
    x = sites.convolution(x, 3 * scale**2, 3, "tail", body=False, dtype="float32")
    return sites.depth_to_space(sites.image(x), scale, "shuffle"), feature


def sum_before_the_shuffle(image, config, scale, sites):
    """An addition is what the depth-to-space moves: no convolution there to be cut for an NPU."""
    filters = 3 * scale**2
    x = sites.convolution(image, filters, 3, "head", body=False)
    x = sites.activation(x, "head_output", body=False)
    y = sites.activation(sites.convolution(x, filters, 3, "middle"), "middle_output")
    feature = sites.add([x, y], "add")
    x = sites.activation(feature, "feature", body=False)
    x = sites.depth_to_space(x, scale, "shuffle")
    return sites.convolution(x, 3, 3, "tail", body=False, dtype="float32"), feature


@pytest.fixture(autouse=True)
def presets(monkeypatch):
    """The registry as it was, after each test."""
    monkeypatch.setattr(registry, "_PRESETS", dict(registry._PRESETS))
    models.register("plain", PlainConfig(), plain)
    models.register("summed", PlainConfig(), sum_before_the_shuffle)


@pytest.mark.parametrize("target", ["cpu", "npu", "ethos-u85"])
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("preset", ["plain", "summed"])
def test_it_is_exported_for_every_target_and_proven(images, pairs, preset, bits, target):
    keras.utils.set_random_seed(3)
    teacher = models.build(preset, 2, features=6)
    student = quantize(teacher, QuantizationRecipe(bits=bits, scope="all"), images)
    content = convert(student, (12, 16), target=target)
    parity = verify(student, content, pairs, num_threads=1)
    assert parity.failures() == []
    if target == "cpu":
        assert receptive_field_radius(content) == 3
    else:
        assert parity.same_images[0].differing == 0
        image = (images[0, :12, :16]).astype(np.uint8)
        cpu = tflite_upscale(convert(student, (12, 16)))(image)
        np.testing.assert_array_equal(tflite_upscale(content)(image), cpu)
        assert len(np.unique(cpu)) > 20


def test_it_is_loaded_where_its_module_is_imported(tmp_path):
    models.save(models.build("plain", 2), tmp_path / "own.keras")
    load = "import pams_tf.models as m; print(m.load('own.keras').preset)"
    imports = "import dataclasses\nfrom pams_tf import models\n"
    source = inspect.getsource(PlainConfig) + inspect.getsource(plain)
    module = f"{imports}{source}models.register('plain', PlainConfig(), plain)\n"
    (tmp_path / "own_network.py").write_text(module)
    with_it, without = (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        for code in (f"import own_network; {load}", load)
    )
    assert with_it.stdout == "plain\n", with_it.stderr
    assert "unknown network 'plain'" in without.stderr
    assert "import the module that registers it" in without.stderr


def test_a_config_that_is_none_is_refused():
    class Loose:
        features = 8

    @dataclasses.dataclass(frozen=True)
    class WithoutRadius:
        features: int = 8

    for config in (Loose(), WithoutRadius()):
        with pytest.raises(InputError, match=r"give a frozen dataclass with a radius\(scale\)"):
            models.register("loose", config, plain)
