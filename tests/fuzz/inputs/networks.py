"""`.keras` files: damaged bytes, another configuration, other weights."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from damage import altered, altered_text, damaged

from inputs import command

SHARE = 150
MOST_LINES = 2  # of upscale: which picture, and how many


def prepare(folder: Path) -> None:
    """A float network, a student, a network of other layers, and a picture."""
    import keras

    import pams_tf
    from pams_tf import models
    from pams_tf.data.images import write_image

    rng = np.random.default_rng(1)
    image = rng.uniform(0, 255, (1, 12, 12, 3)).astype(np.float32)
    write_image(folder / "picture.png", image[0].astype(np.uint8))
    keras.utils.set_random_seed(1)
    network = models.build("edsr_mobile", 2, blocks=1, features=4)
    models.save(network, folder / "float.keras")
    recipe = pams_tf.QuantizationRecipe(scope="all")
    models.save(pams_tf.quantize(network, recipe, image), folder / "student.keras")
    source = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(source)
    x = keras.layers.Conv2D(12, 3, padding="same")(x)
    plain = keras.Model(source, keras.layers.UpSampling2D()(x[..., :3]))
    plain.save(folder / "plain.keras")


def make(rng: np.random.Generator, originals: Path) -> Callable[[], int]:
    name = str(rng.choice(["float", "student", "plain"]))
    content = (originals / f"{name}.keras").read_bytes()
    content = damaged(rng, content) if rng.random() < 0.2 else _changed(rng, content)
    Path("x.keras").write_bytes(content)
    picture = f"--input={originals}/picture.png"
    return command("upscale", "--model=x.keras", picture, "--out=out")


def check(folder: Path, status: int) -> None:
    """The picture is there."""
    written = [path.name for path in (folder / "out").rglob("*")]
    assert written == ([] if status else ["picture.png"]), written


def _changed(rng: np.random.Generator, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        members = {member: source.read(member) for member in source.namelist()}
    name = str(rng.choice(["config.json", "config.json", "metadata.json", "model.weights.h5"]))
    if name == "model.weights.h5":
        members[name] = _arrays(rng, members[name])
    elif rng.random() < 0.7:
        members[name] = json.dumps(altered(rng, json.loads(members[name]))).encode()
    else:
        members[name] = altered_text(rng, json.loads(members[name]))
    if rng.random() < 0.1:
        del members[str(rng.choice(list(members)))]
    if rng.random() < 0.1:
        members[str(rng.choice(["../up", "assets/x", "/tmp/up"]))] = b"x"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for member, data in members.items():
            target.writestr(member, data)
    return buffer.getvalue()


def _arrays(rng: np.random.Generator, content: bytes) -> bytes:
    """The weights with damaged bytes, or with an array of other values, type or shape."""
    import h5py

    if rng.random() < 0.5:
        return damaged(rng, content)
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        found: list[str] = []
        file.visititems(lambda n, o: found.append(n) if isinstance(o, h5py.Dataset) else None)
        name = str(rng.choice(found))
        array = np.array(file[name])
        del file[name]
        choice = int(rng.integers(6))
        if choice == 0 and array.size:
            array = array.astype(np.float32)
            array.flat[0] = rng.choice([np.nan, np.inf, 1e38])
        elif choice == 1:
            array = array[..., None]
        elif choice == 2:
            array = array.astype(str(rng.choice(["float16", "float64", "int8", "complex64"])))
        elif choice == 3:
            array = np.zeros((0,), np.float32)
        if choice < 4:
            file[name] = array
        elif choice == 4:  # 16 GB that take no place
            file.create_dataset(name, (2**32,), "float32", chunks=(2**20,))
    return buffer.getvalue()
