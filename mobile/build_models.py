"""Export the project's networks for the apps in this folder: .tflite files, each with its card.

Example: python mobile/build_models.py --out mobile/build/models

The files with quantizers are fine-tuned networks of the zoo, and the others the float weights that
ship with the package. Nothing is downloaded.
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

SCALE = 4
TILE = 128  # side of a tile, in LR pixels
NETWORKS = {"edsr_mobile": "EDSR-mobile", "edsr_baseline": "EDSR-baseline"}
KINDS = {"8bit": 8, "4bit": 4, "float": None}


def halo(content: bytes) -> int:
    """The halo of a file, in LR pixels; measure_halo.py shows the effect of other values.

    It is the radius of the receptive field, up to 16. That of EDSR-mobile is 14 pixels, and its
    tiles equal the whole picture. That of EDSR-baseline is 36 pixels, which would leave a sixth of
    each tile, while a halo of 16 pixels leaves only invisible differences.
    """
    from pams_tf.litert.receptive_field import receptive_field_radius

    return min(receptive_field_radius(content), 16)


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
    """Write all files with their cards, `index.json`, and the built-in picture.

    `index.json` lists the cards without their references, so that a page can read it at once.
    """
    from pams_tf.data.images import write_image

    picture = photograph()
    index = []
    for network in NETWORKS:
        for kind, bits in KINDS.items():
            name = f"{network}_x{SCALE}_{kind}"
            student, content, made = convert(network, bits)
            card = card_of(content, f"{name}.tflite", network, bits, made, picture, student)
            with atomic_write(out / f"{name}.tflite") as file:
                file.write(content)
            write_text(out / f"{name}.json", json.dumps(card, indent=2) + "\n")
            index.append({key: card[key] for key in card if key != "reference"})
            print(f"{name}: {len(content):,} bytes, {card['quality']['psnr']} dB", flush=True)
    write_text(out / "index.json", json.dumps(index, indent=2) + "\n")
    write_image(out / "sample.png", picture)


def photograph() -> np.ndarray:
    """A sharp picture of twice a tile's size that was not used to train any of these networks."""
    from pams_tf.data import datasets
    from pams_tf.data.resize import downscale

    return downscale(datasets.sample(SCALE, "valid").load(0)[1], 2)


def convert(network: str, bits: int | None) -> tuple[Any, bytes, str]:
    """The student (None for a float file), the file's content, and how it was made."""
    import pams_tf
    from pams_tf import zoo
    from pams_tf.export.variants import convert_float

    if bits is None:
        model = pams_tf.from_preset(network, SCALE)
        return None, convert_float(model, (TILE, TILE)), "float weights that ship with the package."
    student = pams_tf.from_preset(network, SCALE, bits=bits)
    card = zoo.card(f"{network}_x{SCALE}_{bits}bit")
    made = f"fine-tuned with PAMS for {card['steps']:,} steps on {card['data']}."
    return student, pams_tf.convert(student, (TILE, TILE), io_dtype="int8"), made


def card_of(
    content: bytes,
    file: str,
    network: str,
    bits: int | None,
    made: str,
    picture: np.ndarray,
    student: Any,
) -> dict[str, Any]:
    """The file's card, with its quality on photographs not used for training, and a reference.

    The reference is the student's own image, so a device is checked against what was trained.
    """
    from pams_tf.evaluation.benchmark import evaluate
    from pams_tf.evaluation.upscaler import keras_upscale
    from pams_tf.litert.card import model_card

    result = evaluate(content, "sample")
    kind = f"{bits} bit" if bits else "float"
    left = (picture.shape[1] - TILE) // 2  # the face, and edges of every direction
    tile = picture[:TILE, left : left + TILE]
    return model_card(
        content,
        file,
        tile,
        None if student is None else keras_upscale(student)(tile),
        name=f"{NETWORKS[network]} x{SCALE}, {kind}",
        network=network,
        made=made,
        halo=halo(content),
        quality={
            "set": "3 built-in photographs",
            "psnr": round(result.psnr, 2),
            "ssim": round(result.ssim, 4),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
