"""The float networks that teach: those that ship, and the user's own."""

from pathlib import Path
from typing import Any

from pams_tf import models
from pams_tf.errors import InputError
from pams_tf.models import SuperResolution
from pams_tf.runs import RunFolder

SHIPPED = Path(models.__file__).parent.parent / "weights"


def load_teacher(
    source: str | None, model: str, scale: int, overrides: dict[str, Any] | None = None
) -> SuperResolution:
    """Load a float network.

    Args:
      source: a `.keras` file, the folder of a float run, or None for the weights that ship.
      model, scale, overrides: the network wanted; they choose among the weights that ship.

    Raises:
      InputError: none ships for this network, or the file holds no float network.
    """
    if source is None:
        path = SHIPPED / f"{model}_x{scale}.keras"
        if overrides or not path.is_file():
            shipped = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.keras")))
            raise InputError(
                f"no float weights ship for {model} x{scale} {overrides or ''} (there are: "
                f"{shipped}); train some with train.py or convert released ones with "
                "import_weights.py, and give them as --teacher"
            )
    else:
        path = Path(source)
        path = RunFolder(path).network() if path.is_dir() else path
    teacher = models.load(path)
    if teacher.recipe is not None:
        raise InputError(f"{path}: is quantized itself; a teacher is a float network")
    return teacher
