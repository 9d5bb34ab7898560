"""A Keras that is set to something else is answered with a sentence, not with a traceback."""

import os
import subprocess
import sys

import pytest


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_in_the_environment(backend):
    result = run("from pams_tf import models", KERAS_BACKEND=backend)
    last = result.stderr.strip().splitlines()[-1]
    assert f"Keras is set to the backend '{backend}', and pams_tf needs TensorFlow; set" in last
    command = "import sys; from pams_tf.commands import finetune as c; sys.exit(c.main(['f']))"
    result = run(command, KERAS_BACKEND=backend)
    assert result.returncode == 1
    assert result.stderr.startswith(f"f: Keras is set to the backend '{backend}'")
    assert result.stderr.count("\n") == 1


def test_another_backend_in_keras_own_configuration(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    environment = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": ""}
    result = run("from pams_tf import models", **environment)
    assert "Keras is set to the backend 'torch'" in result.stderr
    (tmp_path / "keras.json").write_text("not JSON")
    assert run("from pams_tf.backend import check_backend as c; c()", **environment).returncode == 0


def test_keras_2_in_the_place_of_keras_3():
    result = run("from pams_tf import models", TF_USE_LEGACY_KERAS="1")
    last = result.stderr.strip().splitlines()[-1]
    assert "TF_USE_LEGACY_KERAS is set" in last
    assert "unset it, pams_tf needs Keras 3" in last


def test_what_needs_no_keras_does_not_ask():
    code = "import pams_tf.litert.summary, pams_tf.evaluation.upscaler"
    assert run(code, KERAS_BACKEND="jax").returncode == 0


@pytest.fixture
def configured(tmp_path):
    """configured(text): the environment in which Keras' configuration file says this."""

    def write(text):
        (tmp_path / "keras.json").write_text(text)
        return {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": ""}

    return write


SETTINGS = [
    ('{"floatx": "float16"}', "Keras' floatx is 'float16', and pams_tf needs 'float32'"),
    ('{"image_data_format": "channels_first"}', "Keras' image_data_format is 'channels_first'"),
]


@pytest.mark.parametrize(("text", "message"), SETTINGS)
def test_other_settings_are_one_sentence_in_a_library(configured, text, message):
    result = run("from pams_tf import models; models.build('edsr_nano', 3)", **configured(text))
    assert message in result.stderr.strip().splitlines()[-1]


def test_other_settings_do_not_reach_a_command(configured, tmp_path):
    code = """
import sys
from pams_tf.commands import import_weights
out = sys.argv[1]
sys.exit(import_weights.main(["i", f"--source={out}.npz", f"--out={out}", "--model=edsr_nano",
  "--scale=3", "--blocks=1", "--features=4"]))
"""
    import numpy as np

    from pams_tf import models
    from pams_tf.models.torch_weights import released_entries

    network = models.build("edsr_nano", 3, blocks=1, features=4)
    rng = np.random.default_rng(1)
    arrays = {name: rng.normal(size=e.released_shape) for name, e in released_entries(network)}
    np.savez(tmp_path / "a.keras.npz", **arrays)
    command = code.replace("sys.argv[1]", repr(str(tmp_path / "a.keras")))
    text = '{"floatx": "float16", "image_data_format": "channels_first"}'
    result = run(command, **configured(text))
    assert result.returncode == 0, result.stderr
    loaded = models.load(tmp_path / "a.keras")
    assert {variable.dtype for variable in loaded.variables} == {"float32"}
    np.testing.assert_array_equal(
        loaded.get_layer("head").bias.value, arrays["head.0.bias"].astype(np.float32)
    )


def test_a_setting_at_which_tensorflow_stops(configured):
    command = "import sys; from pams_tf.commands import finetune as c; sys.exit(c.main(['f']))"
    result = run(command, **configured('{"floatx": "float7"}'))
    assert result.returncode == 1
    assert result.stderr.startswith("f: Keras' configuration file has floatx 'float7'")
    assert result.stderr.count("\n") == 1


def test_keras_was_imported_with_another_backend():
    code = """
import sys, types
keras = sys.modules["keras"] = types.ModuleType("keras")
keras.config = types.SimpleNamespace(backend=lambda: "jax")
import pams_tf.models
"""
    result = run(code, KERAS_BACKEND="tensorflow")
    assert "Keras is set to the backend 'jax'" in result.stderr.strip().splitlines()[-1]


def test_messages_come_out_when_the_process_fails():
    code = """
import os, sys
from pams_tf.streams import stderr_held
with stderr_held():
    os.write(2, b"chatter\\n")
with stderr_held():
    os.write(2, b"the reason\\n")
    raise RuntimeError
"""
    result = run(code.replace("\\\\", "\\"))
    assert result.stderr.startswith("the reason\n")
    assert "chatter" not in result.stderr


def test_no_home_directory(monkeypatch, tmp_path):
    """As in a container that is run under a user who is not in its list."""
    from pathlib import Path

    from pams_tf.data.packed import cache_folder

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    for name in ("KERAS_HOME", "KERAS_BACKEND", "PAMS_TF_CACHE"):
        monkeypatch.delenv(name, raising=False)
    from pams_tf.backend import check_backend

    check_backend()
    assert cache_folder().is_absolute()
