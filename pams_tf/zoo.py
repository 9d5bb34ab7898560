"""The networks that come with the package: float weights, integer files, and a card of each.

NAME is a network and its scale, such as edsr_mobile_x2. In the package's `weights` folder:

  NAME.keras          float weights, which `--teacher NAME` takes
  NAME_8bit.tflite    fully integer, 180x320 in; NAME_4bit.tflite likewise
  NAME.json           the card: data, steps, PSNR and SSIM, bytes, latency, the commands
"""

import json
from pathlib import Path
from typing import Any

from pams_tf.errors import InputError

FOLDER = Path(__file__).parent / "weights"


def names() -> list[str]:
    """The networks there are, such as "edsr_mobile_x2"."""
    return sorted(path.stem for path in FOLDER.glob("*.keras"))


def weights(name: str) -> Path:
    """The float network's `.keras` file; `models.load` reads it.

    Raises:
      InputError: there is no network of this name.
    """
    return _file(name, f"{name}.keras", "float weights")


def integer_file(name: str, bits: int) -> Path:
    """The fully integer `.tflite` file of a network, 180x320 pixels in.

    Raises:
      InputError: there is no network of this name, or it has no file of this width.
    """
    return _file(name, f"{name}_{bits}bit.tflite", f"{bits}-bit file")


def card(name: str) -> dict[str, Any]:
    """What is known of a network: a dict of plain JSON types.

    Keys: "name", "parameters", "data", "machine", and "entries", one for the float network and
    one for each integer file, with "label", "file", "bytes", "steps", "commands", "benchmarks" (set
    -> "psnr" in dB and "ssim", on Y) and, of integer files, "weights" and "latency".

    Raises:
      InputError: there is no network of this name, or it has no card.
    """
    return json.loads(_file(name, f"{name}.json", "card").read_text())


def _file(name: str, file: str, what: str) -> Path:
    if name not in names():
        raise InputError(f"no network {name!r} in the zoo; there are {', '.join(names())}")
    path = FOLDER / file
    if not path.is_file():
        raise InputError(f"{name} has no {what} in the zoo")
    return path
