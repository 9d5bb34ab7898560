"""The networks that come with the package: float weights, integer files, and a card of each file.

NAME is a network and its upscaling factor, such as edsr_mobile_x2. In the folder `weights`:

  NAME.keras          float weights
  NAME_8bit.tflite    fully integer, 180x320 in (x3: 360x640); NAME_4bit.tflite likewise
  NAME.json, NAME_8bit.json, NAME_4bit.json
                      their cards: data, steps, PSNR and SSIM, bytes, latency, the commands

Some integer files are only measured: their card is there, the file is not.
"""

import json
from pathlib import Path
from typing import Any

from pams_tf.errors import InputError

FOLDER = Path(__file__).parent / "weights"

BASELINES: tuple[dict[str, Any], ...] = (
    {
        "name": "ABPN_x3",
        "network": "ABPN",
        "scale": 3,
        "label": "not ours",
        "made": "int8 QAT file of NJU-Jet/SR_Mobile_Quantization, their entry of MAI 2021, on the "
        "same images and 2 threads of the same kind of machine",
        "parameters": 43_000,
        "benchmarks": {"Set5": {"psnr": 33.475}, "B100": {"psnr": 28.681}},
        "latency": {"median_ms": 75.0, "input_size": "360x640", "threads": 2},
    },
)
"""Cards of other people's integer files to compare with; "made" says whose and how measured."""


def names() -> list[str]:
    """The networks whose float weights ship, such as "edsr_mobile_x2"."""
    return sorted(path.stem for path in FOLDER.glob("*.keras"))


def integer_names() -> list[str]:
    """The integer files that ship, such as "edsr_mobile_x2_8bit"."""
    return sorted(path.stem for path in FOLDER.glob("*.tflite"))


def weights(name: str) -> Path:
    """The `.keras` file of a network's float weights.

    Raises:
      InputError: there is no network of this name.
    """
    return _file(f"{name}.keras", names())


def integer_file(name: str, bits: int) -> Path:
    """The fully integer `.tflite` file of a network.

    Raises:
      InputError: there is no network of this name, or no file of this width ships.
    """
    return _file(f"{name}_{bits}bit.tflite", integer_names())


def card(name: str) -> dict[str, Any]:
    """What is known of a file, as plain JSON types; see `litert.card` for the format.

    The zoo's cards have besides: "label" ("float", "8 bits", ...), "shipped" (whether the package
    holds the file, or it was only measured), "parameters", "data", "steps", "commands",
    "benchmarks" (set -> "psnr" in dB and "ssim", on Y), and of integer files "machine",
    "latency" and, where the file ships, "colours" (see `evaluation.colours.summary`).

    Args:
      name: of a network's float weights, "edsr_mobile_x2", or of an integer file,
        "edsr_mobile_x2_8bit".

    Raises:
      InputError: there is no card of this name.
    """
    known = [path.stem for path in FOLDER.glob("*.json")]
    return json.loads(_file(f"{name}.json", known).read_text())


def cards(name: str | None = None) -> list[dict[str, Any]]:
    """The cards of one network, float first, then from many bits to few; or of all networks.

    Raises:
      InputError: there is no network of this name.
    """
    if name is None:
        return [found for each in names() for found in cards(each)]
    weights(name)
    integer = [card(path.stem) for path in FOLDER.glob(f"{name}_*bit.json")]
    return [card(name), *sorted(integer, key=lambda found: -found["recipe"]["bits"])]


def _file(file: str, known: list[str]) -> Path:
    path = FOLDER / file
    if not path.is_file():
        raise InputError(f"no {file} in the zoo; there are {', '.join(sorted(known))}")
    return path
