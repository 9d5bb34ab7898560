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
