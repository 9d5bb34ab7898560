"""Loading any model by name: a Keras network, or an upscaler for an integer file."""

import os
from typing import TYPE_CHECKING

from pams_tf import locate
from pams_tf.evaluation.upscaler import Upscaler

if TYPE_CHECKING:
    from pams_tf.models import SuperResolution


def load(model: "str | os.PathLike[str] | SuperResolution") -> "SuperResolution | Upscaler":
    """Load a model by name or path.

    Example:
      >>> import pams_tf
      >>> network = pams_tf.load("edsr_mobile_x2")
      >>> network.scale, network.recipe
      (2, None)
      >>> pams_tf.load("edsr_mobile_x2_8bit").scale
      2

    Args:
      model: a `.keras` file, a run folder (its finished network) or the name of float weights in
        the zoo, for a Keras network; or a `.tflite` file or the name of an integer file in the zoo,
        for an `Upscaler`.

    Returns:
      A Keras model, float32 (N, H, W, 3) in [0, 255] -> (N, scale*H, scale*W, 3); or an upscaler,
      uint8 (h, w, 3) -> (h*scale, w*scale, 3).

    Raises:
      InputError: there is no such model, or its file is unreadable or holds something else.

    Source: `pams_tf.runs` for run folders, `pams_tf.zoo` for names.
    """
    if isinstance(model, str | os.PathLike) and locate.model_file(model).suffix == ".tflite":
        return Upscaler(model)
    from pams_tf import models

    return models.load(model)
