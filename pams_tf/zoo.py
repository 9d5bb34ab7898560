"""The networks that come with the package: float weights, integer files, and a card of each.

NAME is a network and its scale, such as edsr_mobile_x2. In the package's `weights` folder:

  NAME.keras          float weights, which `--teacher NAME` takes
  NAME_8bit.tflite    fully integer, 180x320 in (x3: 360x640); NAME_4bit.tflite likewise
  NAME.json           the card: data, steps, PSNR and SSIM, bytes, latency, the commands
"""

import json
from pathlib import Path
from typing import Any

from pams_tf.errors import InputError

FOLDER = Path(__file__).parent / "weights"

RIVALS: tuple[dict[str, Any], ...] = (
    {
        "name": "ABPN x3",
        "preset": "ABPN",
        "scale": 3,
        "about": "int8 QAT file of NJU-Jet/SR_Mobile_Quantization, their entry of MAI 2021, on the "
        "same images and 2 threads of the same kind of machine",
        "parameters": 43_000,
        "entries": [
            {
                "label": "not ours",
                "benchmarks": {"Set5": {"psnr": 33.475}, "B100": {"psnr": 28.681}},
                "latency": {"median_ms": 75.0, "input_size": "360x640", "threads": 2},
            }
        ],
    },
)
"""Cards of integer files of others, to compare with; "about" says whose and how measured."""


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
    """The fully integer `.tflite` file of a network.

    Raises:
      InputError: there is no network of this name, or it has no file of this width.
    """
    return _file(name, f"{name}_{bits}bit.tflite", f"{bits}-bit file")


def card(name: str) -> dict[str, Any]:
    """What is known of a network: a dict of plain JSON types.

    Keys: "name", "parameters", "data", "machine", and "entries", one for the float network and
    one for each integer file, with "label", "file", "bytes", "steps", "commands", "benchmarks" (set
    -> "psnr" in dB and "ssim", on Y) and, of integer files, "bits", "edges", "weights", "latency"
    and "shipped": whether the package holds the file, or it was only measured.

    Raises:
      InputError: there is no network of this name, or it has no card.
    """
    return json.loads(_file(name, f"{name}.json", "card").read_text())


def _file(name: str, file: str, what: str) -> Path:
    if name not in names():
        raise InputError(f"no network {name!r} in the zoo; there are {', '.join(names())}")
    path = FOLDER / file
    if not path.is_file():
        raise InputError(f"{name} has no {what} in the zoo; its card says what there is")
    return path
