"""Is Keras 3 there, on TensorFlow? Asked before either is imported."""

import importlib.util
import json
import os
from pathlib import Path

from pams_tf.errors import InputError


def check_backend() -> None:
    """Assert that TensorFlow is installed and that importing Keras will give Keras 3 on it.

    Raises:
      InputError: TensorFlow is missing, or the environment or Keras' own configuration asks for
        something else; says what to change.
    """
    if not _installed("tensorflow"):
        raise InputError(
            "this needs TensorFlow, which is not installed; pip install pams_tf with all that it "
            "depends on"
        )
    backend = os.environ.get("KERAS_BACKEND") or _configured_backend()
    if backend not in (None, "tensorflow"):
        raise InputError(
            f"Keras is set to the backend {backend!r}, and pams_tf needs TensorFlow; set "
            "KERAS_BACKEND=tensorflow in the environment before Python starts"
        )
    legacy = os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true")
    if legacy and not _installed("tf_keras"):
        raise InputError(
            "TF_USE_LEGACY_KERAS is set, which makes TensorFlow look for Keras 2; unset it, "
            "pams_tf needs Keras 3"
        )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def _configured_backend() -> str | None:
    """What Keras' configuration file says; None without one."""
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return json.loads((folder / "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        return None
