"""Export the project's networks for the apps in this folder: .tflite files, each with its card.

Example: python mobile/build_models.py --out mobile/build/models

EDSR-baseline x4 comes from the float weights that ship. Where none ship for the small, fast
EDSR-mobile, it is trained here for half a minute, for its speed rather than for its pictures, and
its card says so. Integer files are calibrated on the built-in photographs and not fine-tuned.
Everything is seeded, and nothing is downloaded.
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
    from pams_tf.export.receptive_field import receptive_field_radius

    coarse = recipe is not None and recipe.bits < 8
    return min(receptive_field_radius(content), 24 if coarse else 16)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="mobile/build/models", help="folder for the files")
    parser.add_argument("--steps", type=int, default=200, help="of training the small network")
    arguments = parser.parse_args()
    if arguments.steps < 1:
        parser.error(f"--steps={arguments.steps} is not possible; give 1 or more")
    load_tensorflow()
    try:
        build(Path(arguments.out), arguments.steps)
    except InputError as error:
        print(f"build_models.py: {error}", file=sys.stderr)
        return 1
    return 0


def build(out: Path, steps: int) -> None:
    """Write every file with its card, `index.json` with the cards less their references (a list
    that a page can read at once), and the built-in picture.
    """
    from pams_tf.data.images import write_image

    picture = photograph()
    index = []
    for network in NETWORKS:
        model, origin = float_network(network, steps)
        for kind, recipe in KINDS.items():
            name = f"{network}_x{SCALE}_{kind}"
            content, made = convert(model, recipe, origin)
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


def float_network(network: str, steps: int) -> tuple[Any, str]:
    """The float network, and where its weights come from."""
    from pams_tf import zoo
    from pams_tf.training.teachers import load_teacher

    if f"{network}_x{SCALE}" in zoo.names():
        return load_teacher(None, network, SCALE), "float weights that ship with the project"
    return train(network, steps), (
        f"float weights trained for only {steps} steps on the built-in photographs, "
        "so judge its speed and not its pictures"
    )


def train(network: str, steps: int) -> Any:
    """A network that starts as bilinear enlargement and learns the rest in a few steps."""
    import keras

    from pams_tf import models
    from pams_tf.data.pipeline import training_dataset
    from pams_tf.training.jobs import training_images
    from pams_tf.training.schedules import adam
    from pams_tf.training.settings import TrainingSettings

    settings = TrainingSettings(
        model=network,
        scale=SCALE,
        steps=steps,
        patch_size=24,
        learning_rate=1e-3,
        schedule="cosine",
    )
    keras.utils.set_random_seed(settings.seed)
    model = models.build(network, SCALE)
    start_as_bilinear(model)
    model.compile(adam(settings, settings.learning_rate), loss="mean_absolute_error")
    batches = training_dataset(
        training_images(settings),
        seed=settings.seed,
        start_step=0,
        batch_size=settings.batch_size,
        patch_size=settings.patch_size,
    )
    model.fit(batches.take(steps), steps_per_epoch=steps, shuffle=False, verbose=0)
    return model


def start_as_bilinear(model: Any) -> None:
    """Set an EDSR x4 so that three of its channels carry the picture through, enlarged bilinearly.

    The others keep their random weights and are faded in by training. From random weights alone
    it takes ten times the steps to do better than bicubic.
    """
    features = model.get_layer("head").kernel.shape[-1]
    rgb, middle = range(3), (1, 1)

    head = _kernel(model, "head")
    head[..., :3] = 0
    for c in rgb:
        head[*middle, c, c] = 1
    _set_kernel(model, "head", head)

    _set_kernel(model, "body", 0.1 * _kernel(model, "body"))

    before, after = np.array([0.25, 0.75, 0.0]), np.array([0.0, 0.75, 0.25])
    for name in ("upsample_0", "upsample_1"):
        kernel = _kernel(model, name)
        for position, (down, right) in enumerate(
            (down, right) for down in (before, after) for right in (before, after)
        ):
            for c in rgb:
                kernel[..., position * features + c] = 0
                kernel[:, :, c, position * features + c] = np.outer(down, right)
        _set_kernel(model, name, kernel)

    tail = 0.1 * _kernel(model, "tail")
    tail[:, :, :3, :] = 0
    for c in rgb:
        tail[*middle, c, c] = 1
    _set_kernel(model, "tail", tail)


def convert(model: Any, recipe: QuantizationRecipe | None, origin: str) -> tuple[bytes, str]:
    """The file's content, and how it was made."""
    from pams_tf import export
    from pams_tf.training.calibration import calibrate
    from pams_tf.training.checkpoints import with_recipe

    if recipe is None:
        return export.convert_float(model, (TILE, TILE)), f"{origin}."
    student = with_recipe(model, recipe)
    calibrate(student, model, calibration_images())
    content = export.convert(student, (TILE, TILE), edges="int8")
    return content, f"{origin}; ranges calibrated on the built-in photographs, no fine-tuning."


def calibration_images() -> list[np.ndarray]:
    """The built-in training photographs, reduced, as LR batches of one."""
    from pams_tf.data import datasets

    pairs = datasets.sample(SCALE, "train")
    return [
        pairs.load(index)[0][None, :TILE, :TILE].astype(np.float32) for index in range(len(pairs))
    ]


def card_of(
    content: bytes,
    file: str,
    network: str,
    recipe: QuantizationRecipe | None,
    made: str,
    picture: np.ndarray,
) -> dict[str, Any]:
    """The file's card: its quality on photographs it was not trained on, and its reference."""
    from pams_tf.data import datasets
    from pams_tf.evaluation.benchmark import evaluate
    from pams_tf.evaluation.upscalers import tflite_upscaler
    from pams_tf.export.card import Description, model_card

    result = evaluate(tflite_upscaler(content), datasets.sample(SCALE, "valid"))
    kind = f"{recipe.bits} bit" if recipe else "float"
    about = Description(
        name=f"{NETWORKS[network]} x{SCALE}, {kind}",
        network=network,
        recipe=recipe,
        made=made,
        halo=halo(content, recipe),
        quality={
            "set": "3 built-in photographs",
            "psnr": round(result.psnr, 2),
            "ssim": round(result.ssim, 4),
        },
    )
    left = (picture.shape[1] - TILE) // 2  # the face, and edges of every direction
    return model_card(content, file, about, picture[:TILE, left : left + TILE])


def _kernel(model: Any, layer: str) -> np.ndarray:
    return np.asarray(model.get_layer(layer).kernel.value).copy()


def _set_kernel(model: Any, layer: str, kernel: np.ndarray) -> None:
    model.get_layer(layer).kernel.assign(kernel)


if __name__ == "__main__":
    sys.exit(main())
