"""The demo: from the float weights that ship to an integer file, a table and a picture."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pams_tf import models, zoo
from pams_tf.data import datasets
from pams_tf.errors import InputError
from pams_tf.evaluation.benchmark import evaluate
from pams_tf.evaluation.crops import busiest_crops
from pams_tf.evaluation.upscaler import bicubic, keras_upscale, tflite_upscale
from pams_tf.export.run import export_run
from pams_tf.export.variants import convert_float
from pams_tf.files import check_writable, write_text
from pams_tf.litert.latency import paired_latency
from pams_tf.litert.tiling import Upscale
from pams_tf.recipe import QuantizationRecipe
from pams_tf.reporting.plots.comparison import comparison
from pams_tf.runs import RunFolder
from pams_tf.training.jobs import distil
from pams_tf.training.settings import FINETUNE_BUDGETS, DistillationSettings
from pams_tf.training.teachers import load_teacher

MODEL, SCALE = "edsr_baseline", 4


def run_demo(
    out: Path,
    recipe: QuantizationRecipe,
    input_size: tuple[int, int],
    *,
    picture: str,
    steps: int | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Fine-tune, export, run, compare; see the command's help.

    Args:
      out: folder for everything made; a demo that was stopped continues there.
      recipe: how to quantize.
      input_size: LR height and width for the latencies.
      picture: name of the validation photograph to draw.
      steps: training steps; the demo preset's by default.
      progress: show how far it is.
      say: told what begins.

    Returns:
      The report, as written to results.json: `rows` with model, psnr, ssim, bytes, latency_ms.

    Raises:
      InputError: an unwritable folder, an unknown picture, or a run there with other settings.
    """
    check_writable(out)
    pairs = datasets.sample(SCALE, "valid")
    if picture not in pairs.names:
        raise InputError(f"no photograph {picture!r}; choose one of {', '.join(pairs.names)}")

    say("1/4  fine-tuning on the built-in photographs (short demo setting)")
    fields = FINETUNE_BUDGETS["demo"] | ({} if steps is None else {"steps": steps})
    settings = DistillationSettings(model=MODEL, scale=SCALE, **fields)
    run = RunFolder(out / "run")
    distil(settings, recipe, run, progress=progress)

    say("2/4  exporting a fully integer TensorFlow Lite file")
    exported = export_run(run, input_size, out=out / f"{MODEL}_x{SCALE}.tflite")

    say("3/4  measuring on photographs that were not trained on")
    teacher = load_teacher(None, MODEL, SCALE)
    integer = exported.file.read_bytes()
    float_file = convert_float(teacher, input_size)
    simulated = f"simulated {recipe.bits} bit"
    upscalers: dict[str, Upscale] = {
        "bicubic": bicubic(SCALE),
        "float": keras_upscale(teacher),
        simulated: keras_upscale(models.load(run.student)),
        "integer TFLite": tflite_upscale(integer, num_threads=2),
    }
    # What longer fine-tuning on more photographs gives.
    shipped = {
        f"zoo, {bits} bit": zoo.integer_file(f"{MODEL}_x{SCALE}", bits).read_bytes()
        for bits in (8, 4)
    }
    upscalers |= {name: tflite_upscale(file, num_threads=2) for name, file in shipped.items()}
    results = {
        name: evaluate(upscaler, pairs, label=name, progress=progress)
        for name, upscaler in upscalers.items()
    }
    files = paired_latency(integer, float_file, rounds=8)
    simulated_ms = _latency_ms(upscalers[simulated], input_size)
    # The float network is timed and weighed as a TFLite file too, so that like meets like.
    sizes = {
        "float": len(float_file),
        simulated: run.student.stat().st_size,
        "integer TFLite": len(integer),
        **{name: len(file) for name, file in shipped.items()},
    }
    latencies = {
        "float": files.b.median_ms,
        simulated: simulated_ms,
        "integer TFLite": files.a.median_ms,
    }

    say("4/4  drawing the comparison")
    index = pairs.names.index(picture)
    figures = {name: result.per_image[index]["psnr"] for name, result in results.items()}
    path = out / "comparison.png"
    _draw(path, *pairs.load(index), upscalers, figures)

    report = {
        "model": MODEL,
        "scale": SCALE,
        "recipe": recipe.to_dict(),
        "images": len(pairs),
        "input_size": input_size,
        "rows": [
            {
                "model": name,
                "psnr": result.psnr,
                "ssim": result.ssim,
                "bytes": sizes.get(name),
                "latency_ms": latencies.get(name),
            }
            for name, result in results.items()
        ],
        "file": str(exported.file),
        "picture": str(path),
    }
    write_text(out / "results.json", json.dumps(report, indent=2) + "\n")
    return report


def _draw(
    path: Path,
    lr: np.ndarray,
    hr: np.ndarray,
    upscalers: dict[str, Upscale],
    figures: dict[str, float],
) -> None:
    """LR, each upscaler with its PSNR, and HR, with the two busiest crops enlarged."""
    panels: list[Any] = [("LR", lr.repeat(SCALE, axis=0).repeat(SCALE, axis=1))]
    for name, upscale in upscalers.items():
        panels.append((name, upscale(lr), f"{figures[name]:.2f} dB"))
    panels.append(("HR", hr))
    comparison(path, panels, busiest_crops(hr, size=min(hr.shape[:2]) // 6, count=2))


def _latency_ms(upscale: Upscale, input_size: tuple[int, int], rounds: int = 3) -> float:
    image = np.random.default_rng(0).integers(0, 256, (*input_size, 3), dtype=np.uint8)
    upscale(image)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        upscale(image)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))
