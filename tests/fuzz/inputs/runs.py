"""Folders of runs, finished and not, one of whose files is damaged: continued, exported, used."""

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from damage import altered, altered_text, damaged

from inputs import command

SHARE = 50
MOST_LINES = 3  # what is set aside, and why not more
GOES_ON = True  # a run writes as it goes
STEPS = 3


def prepare(folder: Path) -> None:
    """Pictures, a teacher, and a run stopped after the first of two checkpoints, or finished."""
    import keras

    from pams_tf import models
    from pams_tf.data.images import write_image

    rng = np.random.default_rng(1)
    for index in range(2):
        coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
        write_image(folder / "photos" / f"{index}.png", coarse.repeat(4, 0).repeat(4, 1))
    keras.utils.set_random_seed(1)
    models.save(models.build("edsr_mobile", 2, blocks=1, features=4), folder / "teacher.keras")
    os.environ["PAMS_TF_CACHE"] = str(folder / "cache")
    for steps in (STEPS - 1, STEPS):
        assert _finetune(folder, steps, folder, str(steps))() == 0
    half, whole = (folder / str(steps) for steps in (STEPS - 1, STEPS))
    for name in ("settings.json", "recipe.json"):
        shutil.copy(whole / name, half / name)
    (half / "student.keras").unlink()


def make(rng: np.random.Generator, originals: Path) -> Callable[[], int]:
    os.environ["PAMS_TF_CACHE"] = str(originals / "cache")
    finished = bool(rng.random() < 0.5)
    run = Path("out", "run")
    shutil.copytree(originals / str(STEPS if finished else STEPS - 1), run)
    files = [path for path in sorted(run.rglob("*")) if path.is_file()]
    files = [path for path in files if path.suffix in (".json", ".csv", ".npz", ".keras")]
    path = files[int(rng.integers(len(files)))]
    path.write_bytes(_changed(rng, path))
    choice = rng.random()
    if not finished or choice < 0.3:
        return _finetune(originals, STEPS, Path("out"), "run")
    if choice < 0.8:
        where = ("--out=out/x.tflite", "--input_size=16x16")
        return command("to_tflite", "--run=out/run", *where)
    return command(
        "upscale", "--model=out/run", f"--input={originals}/photos/0.png", "--out=out/enlarged"
    )


def check(folder: Path, status: int) -> None:
    """A finished run can be used; an exported file has its card."""
    from pams_tf import models

    out = folder / "out"
    assert (out / "x.tflite").exists() == (out / "x.json").exists()
    if status == 0:
        models.load(out / "run")


def _finetune(data: Path, steps: int, runs: Path, name: str) -> Callable[[], int]:
    return command(
        "finetune", f"--teacher={data}/teacher.keras", f"--data={data}/photos",
        f"--valid_data={data}/photos", f"--steps={steps}", "--batch_size=1", "--patch_size=8",
        f"--checkpoint_every={STEPS - 1}", "--log_every=1", f"--runs={runs}", f"--name={name}",
        "--bits=8", "--scope=all", "--calibration_steps=1",
    )  # fmt: skip


def _changed(rng: np.random.Generator, path: Path) -> bytes:
    content = path.read_bytes()
    if rng.random() < 0.3:
        return damaged(rng, content)
    if path.suffix == ".json":
        return altered_text(rng, json.loads(content))
    if path.suffix == ".csv":
        return _table(rng, content)
    if path.suffix == ".npz":
        return _arrays(rng, path)
    return damaged(rng, content)


def _table(rng: np.random.Generator, content: bytes) -> bytes:
    table = list(csv.reader(io.StringIO(content.decode())))
    row = table[int(rng.integers(len(table)))]
    row[int(rng.integers(len(row)))] = str(rng.choice(["", "x", "nan", "1e9", "-1", "2.5", "é"]))
    buffer = io.StringIO()
    csv.writer(buffer).writerows(table)
    return buffer.getvalue().encode()


def _arrays(rng: np.random.Generator, path: Path) -> bytes:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    name = list(arrays)[int(rng.integers(len(arrays)))]
    array = arrays[name]
    if array.dtype.kind == "U":  # the state, as JSON
        try:
            state = json.dumps(altered(rng, json.loads(str(array))))
        except ValueError:
            state = "x"
        arrays[name] = np.array(state.replace("\0", ""))
    else:
        choices = (
            array[..., None], array.astype("float64"), np.array("text"), np.full_like(array, 2**30),
            array.astype("complex64"), array[None],
        )  # fmt: skip
        arrays[name] = choices[int(rng.integers(len(choices)))]
    if rng.random() < 0.15:
        del arrays[name]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
