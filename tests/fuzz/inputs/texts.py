"""JSON that people and programs write: recipes, cards, results of devices."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from damage import altered_text

from inputs import command

SHARE = 400
GOES_ON = True  # results that are sound are reported beside those that are not
MOST_LINES = 3  # which file, that none is left, and a name of two lines
RESULT = {
    "format": "pams_tf benchmark result",
    "version": 1,
    "date": "2026-01-02T03:04:05.000Z",
    "device": {"name": "Phone"},
    "model": {"file": "edsr_8bit.tflite", "recipe": {"bits": 8}, "input": [1, 64, 64, 3]},
    "accelerator": {"actual": "wasm", "fully_accelerated": True, "threads": 1},
    "cold_ms": {"model": 1, "runtime": 2, "compile": 3, "first_run": 4},
    "latency_ms": {"count": 9, "mean": 3.0, "deviation": 1, "p50": 3.0, "p90": 3.0, "p99": 6.0},
    "frames_per_second": 300.0,
    "memory_bytes": {"wasm": 1_000_000},
    "check": {"status": "equal", "comparison": {"share": 0}},
    "valid": True,
}


def prepare(folder: Path) -> None:
    """Nothing: the card of a file that ships, and the result above."""


def make(rng: np.random.Generator, originals: Path) -> Callable[[], int]:
    from pams_tf import zoo

    choice = rng.random()
    if choice < 0.3:
        count = int(rng.integers(1, 3))
        value = RESULT if rng.random() < 0.5 else [RESULT] * count
        Path("result.json").write_bytes(altered_text(rng, value))
        return command("mobile_report", "--results=result.json", "--out=out")
    if choice < 0.6:
        Path("recipe.json").write_bytes(altered_text(rng, zoo.card("edsr_mobile_x2_8bit")))
    else:
        recipe = zoo.card("edsr_mobile_x2_8bit")["recipe"]
        Path("recipe.json").write_bytes(altered_text(rng, recipe))
    return _load_recipe


def check(folder: Path, status: int) -> None:
    """A report has its table and its plot."""
    if (folder / "result.json").exists():
        written = sorted(path.name for path in (folder / "out").iterdir())
        assert status or written == ["report.md", "report.png"]


def _load_recipe() -> int:
    from pams_tf import QuantizationRecipe
    from pams_tf.errors import InputError

    try:
        recipe = QuantizationRecipe.load("recipe.json")
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    json.dumps(recipe.to_dict())
    return 0
