"""Make what the browser tests feed the page: small models by the project's converter, good and bad.

Usage: python tests/make_models.py FOLDER

The networks have random weights; what matters is that every device computes the same from them.
Beside each integer model lies what LiteRT in Python makes of a whole picture, which the page has
to equal in tiles, byte by byte.
"""

import base64
import json
import sys
import zlib
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pams_tf import QuantizationRecipe, convert, models
from pams_tf.data.datasets import sample
from pams_tf.data.images import read_image, write_image
from pams_tf.evaluation.upscaler import tflite_upscale
from pams_tf.litert.card import model_card

TILE, SCALE = 32, 2
REACH = 8  # head, two blocks, body, upsampling, tail: LR pixels that one output pixel depends on


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    photograph = read_image(sample(4, "valid").hr[0])
    picture = photograph[60:130, 180:270]
    write_image(out / "picture.png", picture)
    for bits in (8, 4):
        recipe = QuantizationRecipe(bits=bits, scope="all")
        content = tiny(recipe, photograph)
        name = f"tiny_{bits}bit"
        card = model_card(
            content,
            f"{name}.tflite",
            picture[:TILE, :TILE],
            name=f"Tiny x2, {bits} bit",
            made="random weights",
            halo=REACH,
        )
        (out / f"{name}.tflite").write_bytes(content)
        (out / f"{name}.json").write_text(json.dumps(card))
        (out / f"{name}.rgb").write_bytes(tflite_upscale(content)(picture).tobytes())
        if bits == 8:
            bad_files(out, content, card, recipe)
    # Twelve megapixels, as phones take them.
    large = np.tile(photograph, (6, 8, 1))[:3000, :4000]
    write_image(out / "large.png", large)


def bad_files(out: Path, content: bytes, card: dict, recipe: QuantizationRecipe) -> None:
    (out / "plain.tflite").write_bytes(content)
    recipe.save(out / "plain.json")
    (out / "alone.tflite").write_bytes(content)

    (out / "tampered.tflite").write_bytes(content)
    (out / "tampered.json").write_text(json.dumps(tampered(card)))

    (out / "truncated.tflite").write_bytes(content[: len(content) // 2])
    recipe.save(out / "truncated.json")
    (out / "mismatch.tflite").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (out / "mismatch.json").write_text(json.dumps(card))
    (out / "text.tflite").write_text("this is no model at all\n")
    recipe.save(out / "text.json")
    (out / "foreign.tflite").write_bytes(content)
    (out / "foreign.json").write_text('{"name": "some-package", "dependencies": {}}')
    (out / "vector.tflite").write_bytes(vector_model())
    recipe.save(out / "vector.json")


def tiny(recipe: QuantizationRecipe, photograph: np.ndarray) -> bytes:
    keras.utils.set_random_seed(5)
    teacher = models.build("edsr_mobile", SCALE, blocks=2, features=8)
    student = models.quantize(teacher, recipe, photograph[:96, 160:256])
    io_dtype = "int8" if recipe.bits == 8 else "uint8"  # the page takes both
    return convert(student, (TILE, TILE), io_dtype=io_dtype)


def tampered(card: dict) -> dict:
    """The card with three codes of its reference changed: no device can equal it."""
    codes = bytearray(zlib.decompress(base64.b64decode(card["reference"]["output"])))
    for at in (5, 500, 5000):
        codes[at] ^= 1
    output = base64.b64encode(zlib.compress(bytes(codes))).decode()
    return {**card, "reference": {**card["reference"], "output": output}}


def vector_model() -> bytes:
    """A model that takes ten numbers, not an image."""

    @tf.function(input_signature=[tf.TensorSpec((1, 10), tf.float32)])
    def double(x):
        return 2 * x

    return tf.lite.TFLiteConverter.from_concrete_functions(
        [double.get_concrete_function()], tf.Module()
    ).convert()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
