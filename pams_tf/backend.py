"""TensorFlow and Keras 3: whether they are there, and an import that prints nothing."""

import contextlib
import importlib.util
import logging
import os
import sys
from pathlib import Path
from typing import Any

from pams_tf.errors import InputError
from pams_tf.reading import excerpt, read_json
from pams_tf.streams import stderr_held

_SETTINGS = {
    "floatx": ("float16", "float32", "float64"),
    "image_data_format": ("channels_last", "channels_first"),
}


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
    configured = _configuration()
    for key, known in _SETTINGS.items():  # TensorFlow itself stops at another value
        if key in configured and configured[key] not in known:
            raise InputError(
                f"Keras' configuration file has {key} {excerpt(configured[key])}; it must be one "
                f"of {', '.join(known)}"
            )
    backend = os.environ.get("KERAS_BACKEND") or configured.get("backend")
    if loaded := getattr(
        sys.modules.get("keras"), "config", None
    ):  # imported before, as it was set
        backend = loaded.backend()  # it was imported before, with the setting of then
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


def load_tensorflow() -> None:
    """Import TensorFlow without the start-up messages that its C++ code prints.

    They are printed before any log level is read, so standard error itself is held back during the
    import; they come out if it fails. Set TF_CPP_MIN_LOG_LEVEL to see all of them.

    Raises:
      InputError: see `check_backend`.
    """
    check_backend()
    quiet = "TF_CPP_MIN_LOG_LEVEL" not in os.environ
    if quiet:
        logging.getLogger("tensorflow").addFilter(_matters)
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with stderr_held() if quiet else contextlib.nullcontext():
            import tensorflow as tf

            tf.config.list_physical_devices()  # prints a lot if there is no GPU


def _matters(record: logging.LogRecord) -> bool:
    """Whether a message of TensorFlow's is about more than what each export and network causes.

    In a notebook its logger also shows information, and several networks in one process look to it
    like one function that is traced too often.
    """
    text = record.getMessage()
    return not (text.startswith("Assets written to") or "triggered tf.function retracing" in text)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def check_settings() -> None:
    """Assert that Keras builds networks of float32 with channels last, as everything here expects.

    Raises:
      InputError: its global settings are others; says how to change them.
    """
    import keras

    for setting, wanted in (("floatx", "float32"), ("image_data_format", "channels_last")):
        found = getattr(keras.config, setting)()
        if found != wanted:
            raise InputError(
                f"Keras' {setting} is {found!r}, and pams_tf needs {wanted!r}; call "
                f"keras.config.set_{setting}({wanted!r})"
            )


def _configuration() -> dict[str, Any]:
    """What Keras' configuration file says; nothing without one."""
    # Without a home directory, as in a container under a foreign user, this is the name itself.
    folder = Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"))
    try:
        found = read_json(folder / "keras.json")
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}
