"""Export the project's networks for the apps in this folder: .tflite files, each with its card.

Example: python mobile/build_models.py --out mobile/build/models

All come from the float weights that ship. Integer files are calibrated on the built-in photographs
and not fine-tuned. Everything is seeded, and nothing is downloaded.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from pams_tf.commands.cli import load_tensorflow
from pams_tf.errors import InputError
from pams_tf.files import atomic_write, write_text
from pams_tf.recipe import QuantizationRecipe

SCALE = 4
TILE = 128  # LR pixels a side
NETWORKS = {"edsr_mobile": "EDSR-mobile", "edsr_baseline": "EDSR-baseline"}
ORIGIN = "float weights that ship with the project"
KINDS = {
    "8bit": QuantizationRecipe(bits=8, scope="all"),
    "4bit": QuantizationRecipe(bits=4, scope="all"),
    "float": None,
}


def halo(content: bytes, recipe: QuantizationRecipe | None) -> int:
    """LR pixels that tiles share; measure_halo.py shows what other widths would give.

    What the network can see, up to a limit: EDSR-mobile looks 14 pixels far, and its tiles equal
    the whole picture. EDSR-baseline looks 36 pixels far, which would leave a sixth of each tile;
    at 8 bits 16 pixels leave differences that nobody sees, and coarser grids, which carry small
    differences further, get 24.
    """
    from pams_tf.litert.receptive_field import receptive_field_radius

    coarse = recipe is not None and recipe.bits < 8
    return min(receptive_field_radius(content), 24 if coarse else 16)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="mobile/build/models", help="folder for the files")
    arguments = parser.parse_args()
    load_tensorflow()
    try:
        build(Path(arguments.out))
    except InputError as error:
        print(f"build_models.py: {error}", file=sys.stderr)
        return 1
    return 0


def build(out: Path) -> None:
    """Write every file with its card, `index.json` with the cards less their references (a list
    that a page can read at once), and the built-in picture.
    """
    from pams_tf import models
    from pams_tf.data.images import write_image

    picture = photograph()
    index = []
    for network in NETWORKS:
        model = models.load(f"{network}_x{SCALE}")
        for kind, recipe in KINDS.items():
            name = f"{network}_x{SCALE}_{kind}"
            content, made = convert(model, recipe)
            card = card_of(content, f"{name}.tflite", network, recipe, made, picture)
            with atomic_write(out / f"{name}.tflite") as file:
                file.write(content)
            write_text(out / f"{name}.json", json.dumps(card, indent=2) + "\n")
            index.append({key: card[key] for key in card if key != "reference"})
            print(f"{name}: {len(content):,} bytes, {card['quality']['psnr']} dB", flush=True)
    write_text(out / "index.json", json.dumps(index, indent=2) + "\n")
    write_image(out / "sample.png", picture)


def photograph() -> np.ndarray:
    """A picture that no network here was trained on, sharp, of twice a tile's size."""
    from pams_tf.data import datasets
    from pams_tf.data.resize import downscale

    return downscale(datasets.sample(SCALE, "valid").load(0)[1], 2)


def convert(model: Any, recipe: QuantizationRecipe | None) -> tuple[bytes, str]:
    """The file's content, and how it was made."""
    import pams_tf
    from pams_tf.export.variants import convert_float

    if recipe is None:
        return convert_float(model, (TILE, TILE)), f"{ORIGIN}."
    student = pams_tf.quantize(model, recipe)
    content = pams_tf.convert(student, (TILE, TILE), io_dtype="int8")
    return content, f"{ORIGIN}; ranges calibrated on the built-in photographs, no fine-tuning."


def card_of(
    content: bytes,
    file: str,
    network: str,
    recipe: QuantizationRecipe | None,
    made: str,
    picture: np.ndarray,
) -> dict[str, Any]:
    """The file's card: its quality on photographs it was not trained on, and its reference."""
    from pams_tf.evaluation.benchmark import evaluate
    from pams_tf.litert.card import model_card

    result = evaluate(content, "sample")
    kind = f"{recipe.bits} bit" if recipe else "float"
    left = (picture.shape[1] - TILE) // 2  # the face, and edges of every direction
    return model_card(
        content,
        file,
        picture[:TILE, left : left + TILE],
        name=f"{NETWORKS[network]} x{SCALE}, {kind}",
        network=network,
        made=made,
        halo=halo(content, recipe),
        quality={
            "set": "3 built-in photographs",
            "psnr": round(result.psnr, 2),
            "ssim": round(result.ssim, 4),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
