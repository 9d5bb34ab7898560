"""The zoo's fine-tuned files beside what needs no training, image by image; see --help."""

import contextlib
import io
import json
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from pams_tf import zoo
from pams_tf.commands import cli
from pams_tf.errors import InputError
from pams_tf.files import write_text

DESCRIPTION = """What fine-tuning is worth: each integer file of the zoo beside three of the same
network and width that need no training, on the same images.

  calibrated   ranges from Eq. 4 of the paper, weights rounded to the nearest code
  fitted       searched ranges and fitted kernels, as --initial_range error --initial_weights fitted
  litert       Google's litert-quantizer, static, calibrated with running minima and maxima;
               at 4 bits its weights alone have 4 bits, and its activations 8

Example:
  pip install -e '.[alternatives]'
  python benchmarks/alternatives.py --data BSDS400 --images Set5,B100 --names edsr_mobile_x4

Differences to the fine-tuned file are means over the images of a set, with their standard error.
With --cards, the figures are written into the zoo's cards, as "alternatives".
"""

CALIBRATION_IMAGES = 64
SIDE = 80
"""Height and width of the files, and of the crops that litert-quantizer is calibrated with."""


def calibrated(network: Any, bits: int, **start: str) -> bytes:
    """The file of a student that is not trained."""
    import pams_tf

    recipe = pams_tf.QuantizationRecipe.best(bits).replace(scope="all")
    student = pams_tf.quantize(network, recipe, FLAGS.data, **start)
    return pams_tf.convert(student, (SIDE, SIDE))


def fitted(network: Any, bits: int) -> bytes:
    """The same with the start that takes longer."""
    return calibrated(network, bits, initial_range="error", initial_weights="fitted")


def litert(network: Any, bits: int) -> bytes:
    """The file of Google's litert-quantizer.

    Its default calibration, a moving average, is 1.3 dB worse on EDSR-mobile x2.
    """
    import numpy as np
    from litert_quantizer import calibrator, quantizer, recipe, recipe_manager
    from litert_quantizer.utils import qsv_utils

    from pams_tf.data.calibration import lr_batches
    from pams_tf.export.variants import convert_float

    content = convert_float(network, (SIDE, SIDE))
    if bits == 8:
        plan = recipe.static_wi8_ai8()
    else:
        manager = recipe_manager.RecipeManager()
        operations = recipe.TFLOperationName.ALL_SUPPORTED
        manager.add_static_config(
            regex=".*",
            operation_name=operations,
            activation_num_bits=8,
            weight_num_bits=bits,
            algorithm_key=recipe.AlgorithmName.MIN_MAX_UNIFORM_QUANT,
        )
        plan = manager.get_quantization_recipe()
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(plan)
    images = [
        np.asarray(image, np.float32)[None, :SIDE, :SIDE]
        for batch in lr_batches(FLAGS.data, network.scale, network.channels)
        for image in batch
        if min(image.shape[:2]) >= SIDE
    ]
    if not images:
        raise InputError(
            f"no calibration image has {SIDE} LR pixels on each side; give larger ones"
        )
    data = {"serving_default": [{"lr": image} for image in images[:CALIBRATION_IMAGES]]}
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
        ranges = calibrator.Calibrator(content, qsv_update_func=qsv_utils.min_max_update)
        ranges.calibrate(data, manager)
        made = quantizer.Quantizer(content, plan).quantize(
            ranges.get_model_qsvs(), enable_progress_report=False
        )
    return bytes(made.quantized_model)


WAYS: dict[str, Callable[[Any, int], bytes]] = {
    "calibrated": calibrated,
    "fitted": fitted,
    "litert": litert,
}

FLAGS = cli.command_flags()
flags.DEFINE_list(
    "names", None, "Networks of the zoo, such as edsr_mobile_x2.", required=True, flag_values=FLAGS
)
flags.DEFINE_list("bits", ["8", "4"], "Bit widths.", flag_values=FLAGS)
flags.DEFINE_string(
    "data", None, "Calibration images; default: the built-in ones.", flag_values=FLAGS
)
flags.DEFINE_list("images", ["sample"], "Benchmarks: folders, or sample.", flag_values=FLAGS)
flags.DEFINE_list("ways", list(WAYS), "Those to compare with.", flag_values=FLAGS)
flags.DEFINE_boolean("cards", False, "Write the figures into the cards.", flag_values=FLAGS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run; `argv` includes the program's name. Returns the exit status."""
    return cli.run(_compare, FLAGS, DESCRIPTION, argv)


def _compare() -> list[dict[str, Any]]:
    if unknown := set(FLAGS.ways) - set(WAYS):
        raise InputError(f"unknown ways {', '.join(sorted(unknown))}; see --help")
    cli.load_tensorflow()
    try:
        import litert_quantizer  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"this benchmark needs litert-quantizer ({error}); pip install -e '.[alternatives]'"
        ) from None
    return [
        _row(name, bits)
        for name in FLAGS.names
        for bits in map(int, FLAGS.bits)
        if f"{name}_{bits}bit" in zoo.integer_names()
    ]


def _row(name: str, bits: int) -> dict[str, Any]:
    import pams_tf
    from pams_tf.evaluation.benchmark import evaluate
    from pams_tf.reporting.tables import print_table

    network = pams_tf.load(name)
    files = {"fine-tuned": zoo.integer_file(name, bits).read_bytes()}
    files |= {way: WAYS[way](network, bits) for way in FLAGS.ways}
    results = {
        way: [evaluate(content, images) for images in FLAGS.images]
        for way, content in files.items()
    }
    tuned = results["fine-tuned"]
    alternatives = {}
    rows = []
    for way, found in results.items():
        figures, cells = {}, []
        for ours, theirs in zip(tuned, found, strict=True):
            mean, error = paired_difference(ours.per_image, theirs.per_image)
            figures[theirs.benchmark] = {
                "psnr": round(theirs.psnr, 4),
                "difference": round(mean, 4),
                "standard_error": round(error, 4),
            }
            cells += [f"{theirs.psnr:.3f}", "" if ours is theirs else f"{mean:+.3f} ± {error:.3f}"]
        rows.append((way, *cells))
        if way != "fine-tuned":
            alternatives[way] = figures
    headings = [head for found in tuned for head in (found.benchmark, "difference")]
    print_table(f"{name}, {bits} bits, PSNR-Y in dB", ("", *headings), rows)
    if FLAGS.cards:
        path = zoo.FOLDER / f"{name}_{bits}bit.json"
        card = json.loads(path.read_text()) | {"alternatives": alternatives}
        write_text(path, json.dumps(card, indent=1) + "\n")
    return {"name": name, "bits": bits, "alternatives": alternatives}


def paired_difference(
    ours: list[dict[str, Any]], theirs: list[dict[str, Any]]
) -> tuple[float, float]:
    """The mean over images of theirs - ours in PSNR, and the standard error of that mean (dB)."""
    assert [a["name"] for a in ours] == [b["name"] for b in theirs]
    differences = [b["psnr"] - a["psnr"] for a, b in zip(ours, theirs, strict=True)]
    count = len(differences)
    mean = sum(differences) / count
    squares = sum((each - mean) ** 2 for each in differences)
    return mean, math.sqrt(squares / (count - 1) / count) if count > 1 else math.nan


if __name__ == "__main__":
    sys.exit(main())
