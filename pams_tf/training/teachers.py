"""Loading float teachers: those in the package, and the user's own."""

import os
from typing import Any

from pams_tf import models, zoo
from pams_tf.errors import InputError
from pams_tf.models import SuperResolution
from pams_tf.models.registry import architecture


def load_teacher(
    source: models.SuperResolution | str | os.PathLike[str] | None,
    preset: str,
    scale: int,
    overrides: dict[str, Any] | None = None,
    *,
    image_range: float = 255.0,
    skt_layer: str | None = None,
) -> SuperResolution:
    """Load a float network as the teacher.

    Args:
      source: a `.keras` file, the folder of a float run, a name in the zoo, the network itself, or
        None for the zoo's network with this preset and scale.
      preset, scale, overrides: the wanted network; used only to choose from the zoo.
      image_range: as in `models.load`.
      skt_layer: as in `models.from_keras`.

    Raises:
      InputError: the zoo has no such network, or the file holds no float network.
    """
    if source is None:
        architecture(preset, scale, overrides or {})  # so that a wrong name is called wrong
        source = f"{preset}_x{scale}"
        if overrides or source not in zoo.names():
            raise InputError(
                f"no float weights ship for {preset} x{scale} {overrides or ''} (there are: "
                f"{', '.join(zoo.names())}); train some with train.py or convert released ones "
                "with import_weights.py, and give them as --teacher"
            )
    teacher = models.load(source, image_range)
    if teacher.recipe is not None:
        name = teacher.described if source is teacher else source
        raise InputError(f"{name}: is quantized; give a float network as the teacher")
    return teacher if skt_layer is None else teacher.with_skt_layer(skt_layer)
