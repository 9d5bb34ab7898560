"""pams_tf: from a float super-resolution network to a fully integer TensorFlow Lite file."""

from pams_tf.errors import InputError
from pams_tf.recipe import QuantizationRecipe

__version__ = "0.1.0"
__all__ = ["InputError", "QuantizationRecipe", "__version__"]
