"""The float networks that teach: those that ship, and the user's own."""

from pathlib import Path
from typing import Any

from pams_tf import models, zoo
from pams_tf.errors import InputError
from pams_tf.models import SuperResolution
from pams_tf.runs import RunFolder


def load_teacher(
    source: str | None, model: str, scale: int, overrides: dict[str, Any] | None = None
) -> SuperResolution:
    """Load a float network.

    Args:
      source: a `.keras` file, the folder of a float run, a name in the zoo, or None for the zoo's
        network of this size.
      model, scale, overrides: the network wanted; they choose from the zoo.

    Raises:
      InputError: none ships for this network, or the file holds no float network.
    """
    if source is None:
        if overrides or f"{model}_x{scale}" not in zoo.names():
            raise InputError(
                f"no float weights ship for {model} x{scale} {overrides or ''} (there are: "
                f"{', '.join(zoo.names())}); train some with train.py or convert released ones "
                "with import_weights.py, and give them as --teacher"
            )
        path = zoo.weights(f"{model}_x{scale}")
    elif source in zoo.names() and not Path(source).exists():
        path = zoo.weights(source)
    else:
        path = Path(source)
        if not path.exists():
            raise InputError(
                f"{source}: no such file or run folder, and no network in the zoo (there are: "
                f"{', '.join(zoo.names())})"
            )
        path = RunFolder(path).network() if path.is_dir() else path
    teacher = models.load(path)
    if teacher.recipe is not None:
        raise InputError(f"{path}: is quantized itself; a teacher is a float network")
    return teacher
