"""pams_tf: from a float super-resolution network to a fully integer TensorFlow Lite file.

Importing the package is quick: what a name needs, TensorFlow included, is imported when the name is
first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from pams_tf.errors import InputError
from pams_tf.recipe import QuantizationRecipe

if TYPE_CHECKING:
    from pams_tf.data.sample_images import sample_images
    from pams_tf.evaluation.benchmark import evaluate
    from pams_tf.evaluation.loading import load
    from pams_tf.evaluation.upscaler import Upscaler
    from pams_tf.export.converter import convert
    from pams_tf.litert.summary import inspect
    from pams_tf.models.foreign import from_keras
    from pams_tf.models.quantize import quantize
    from pams_tf.presets import from_preset, list_presets
    from pams_tf.training.distillation import Distiller
    from pams_tf.training.finetune import finetune
    from pams_tf.training.skt import energy_map, skt_loss
    from pams_tf.verification.compare import verify

__version__ = "0.2.0"
__all__ = [
    "Distiller",
    "InputError",
    "QuantizationRecipe",
    "Upscaler",
    "__version__",
    "convert",
    "energy_map",
    "evaluate",
    "finetune",
    "from_keras",
    "from_preset",
    "inspect",
    "list_presets",
    "load",
    "quantize",
    "sample_images",
    "skt_loss",
    "verify",
]

_HOME = {
    "Distiller": "training.distillation",
    "Upscaler": "evaluation.upscaler",
    "convert": "export.converter",
    "energy_map": "training.skt",
    "evaluate": "evaluation.benchmark",
    "finetune": "training.finetune",
    "from_keras": "models.foreign",
    "from_preset": "presets",
    "inspect": "litert.summary",
    "list_presets": "presets",
    "load": "evaluation.loading",
    "quantize": "models.quantize",
    "sample_images": "data.sample_images",
    "skt_loss": "training.skt",
    "verify": "verification.compare",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
