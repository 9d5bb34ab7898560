"""Quantization-aware training of tensorflow-model-optimization compared to ours; see --help."""

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf.commands import cli
from pams_tf.errors import InputError

DESCRIPTION = """An independent check of method "tflite": the quantization-aware training of
tensorflow-model-optimization (TensorFlow Lite's own), on a tf_keras copy of the same EDSR.

Example: python benchmarks/tfmot_qat.py --data BSDS400 --benchmark Set5,B100 --benchmark_dir DIR

All three start with the same float weights and the same initial ranges (those of Eq. 4), see the
same batches (a batch is a function of seed and step), and train with L1 alone and the same Adam.
The checkpoint of each that is best on the validation images is measured in simulation and, if there
is an integer file, with LiteRT. Every tensor has 8 bits and weights are quantized per channel, as
tensorflow-model-optimization does it. Our own runs are kept in --runs and continued there.

Needs pip install 'pams_tf[comparison]'.
"""

FLAGS = cli.command_flags()
flags.DEFINE_string(
    "model", "edsr_baseline", "An EDSR preset with shipped weights.", flag_values=FLAGS
)
flags.DEFINE_integer("scale", 4, "Upscaling factor of --model.", flag_values=FLAGS)
flags.DEFINE_string(
    "teacher",
    None,
    "Another float network instead of --model and --scale: a .keras file or a float run.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "data", None, "Folder of training images. Default: the built-in ones.", flag_values=FLAGS
)
flags.DEFINE_integer("steps", 300, "Number of training steps.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("batch_size", 16, "Patches per step.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer(
    "patch_size", 48, "Side of a patch, in LR pixels.", lower_bound=8, flag_values=FLAGS
)
flags.DEFINE_float("learning_rate", 1e-5, "Initial learning rate.", flag_values=FLAGS)
flags.DEFINE_integer(
    "halve_every", 100, "Steps between halvings of the learning rate.", flag_values=FLAGS
)
flags.DEFINE_integer("checkpoint_every", 50, "Steps between validations.", flag_values=FLAGS)
flags.DEFINE_integer(
    "calibration_steps", 16, "Number of batches for the initial ranges.", flag_values=FLAGS
)
flags.DEFINE_integer("seed", 1, "Seed of the order of the data.", lower_bound=0, flag_values=FLAGS)
flags.DEFINE_boolean(
    "own_ranges",
    False,
    "Let tensorflow-model-optimization start with its own ranges, -6 to 6 everywhere.",
    flag_values=FLAGS,
)
flags.DEFINE_list("methods", ["tflite", "pams"], "Our methods to compare.", flag_values=FLAGS)
flags.DEFINE_list("benchmark", ["sample"], "Benchmarks, separated by commas.", flag_values=FLAGS)
flags.DEFINE_string("benchmark_dir", None, "The folder with the benchmarks.", flag_values=FLAGS)
flags.DEFINE_string("runs", "runs/tfmot_check", "Folder for our runs.", flag_values=FLAGS)

SETTINGS = (
    "teacher", "data", "steps", "batch_size", "patch_size", "learning_rate", "halve_every",
    "checkpoint_every", "calibration_steps", "seed",
)  # fmt: skip
KINDS = ("simulated", "file")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; `argv` includes the program's name. Returns the exit status."""
    return cli.run(_compare, FLAGS, DESCRIPTION, argv)


def _compare() -> dict[str, Any]:
    _load()
    from pams_tf.data import datasets
    from pams_tf.recipe import METHODS
    from pams_tf.reporting.tables import print_table
    from pams_tf.training.settings import DistillationSettings
    from pams_tf.training.teachers import load_teacher

    for method in FLAGS.methods:
        if method not in METHODS:
            raise InputError(f"--methods: {method!r} is not possible; choose {', '.join(METHODS)}")
    if FLAGS.benchmark != ["sample"] and not FLAGS.benchmark_dir:
        raise InputError(f"--benchmark={','.join(FLAGS.benchmark)} needs --benchmark_dir")
    teacher = load_teacher(FLAGS.teacher, FLAGS.model, FLAGS.scale)
    settings = DistillationSettings(
        model=teacher.preset,
        scale=teacher.scale,
        overrides=teacher.overrides,
        skt_weight=0.0,
        **{name: FLAGS[name].value for name in SETTINGS},
    )
    sets = [
        datasets.sample(settings.scale, "valid")
        if name == "sample"
        else datasets.benchmark(FLAGS.benchmark_dir, name, settings.scale)
        for name in FLAGS.benchmark
    ]
    rows = {"float": _measured(teacher, None, sets)}
    rows["tfmot"] = _tfmot(teacher, settings, sets)
    for method in FLAGS.methods:
        rows[method] = _ours(method, settings, sets)
    print_table(
        f"{settings.model} x{settings.scale}, 8 bits, {settings.steps} steps: PSNR (Y), dB",
        ("", *(f"{pairs.name}, {kind}" for pairs in sets for kind in ("simulated", "file"))),
        [
            (name, *(_shown(row["psnr"][pairs.name][kind]) for pairs in sets for kind in KINDS))
            for name, row in rows.items()
        ],
    )
    for name, row in rows.items():
        if row.get("no_file"):
            print(f"{name}: no file, {row['no_file']}")
    return {"settings": settings.to_dict(), "own_ranges": FLAGS.own_ranges, "results": rows}


def _load() -> None:
    """Load TensorFlow with tf_keras, which tensorflow-model-optimization needs, beside Keras 3."""
    for module in ("tensorflow_model_optimization", "tf_keras"):
        if importlib.util.find_spec(module) is None:
            raise InputError(f"{module} is not installed; pip install 'pams_tf[comparison]'")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    cli.load_tensorflow()


def _tfmot(teacher: Any, settings: Any, sets: Sequence[Any]) -> dict[str, Any]:
    import tensorflow as tf
    import tfmot_twin

    from pams_tf.data.calibration import packed_images
    from pams_tf.data.datasets import find_or_sample
    from pams_tf.data.pipeline import training_dataset
    from pams_tf.evaluation.benchmark import evaluate
    from pams_tf.evaluation.upscaler import keras_upscale
    from pams_tf.litert.checks import check_integer

    student = tfmot_twin.quantized(tfmot_twin.float_twin(teacher))
    packed = packed_images(settings.data, settings.scale, settings.patch_size)
    if not FLAGS.own_ranges:
        tfmot_twin.begin(student, _first_ranges(teacher, packed, settings))
    batches = training_dataset(
        packed,
        seed=settings.seed,
        start_step=0,
        batch_size=settings.batch_size,
        patch_size=settings.patch_size,
    ).map(lambda lr, hr: (tf.cast(lr, tf.float32), tf.cast(hr, tf.float32)))
    pairs = find_or_sample(settings.valid_data, settings.scale, "valid")
    upscale = keras_upscale(student)
    step, psnr = tfmot_twin.train(
        student,
        settings,
        batches,
        lambda: evaluate(upscale, pairs).psnr,
        lambda step, psnr: print(f"tfmot: step {step}, validation {psnr:.3f} dB", flush=True),
    )
    content = tfmot_twin.to_int8(student)
    check_integer(content, "int8")
    return {
        "best_step": step,
        "valid_psnr": psnr,
        "bytes": len(content),
        **_measured(student, content, sets),
    }


def _first_ranges(teacher: Any, packed: Any, settings: Any) -> dict[str, tuple[float, float]]:
    """The initial ranges of our "tflite", by the names of the tf_keras copy's layers."""
    from pams_tf.models.transfer import with_recipe
    from pams_tf.quantization import quantizers
    from pams_tf.training.jobs import calibrate_on_first_batches

    student = with_recipe(teacher, _recipe("tflite"))
    calibrate_on_first_batches(student, teacher, packed, settings)
    ends = {q.name: (float(q.minimum.value), float(q.maximum.value)) for q in quantizers(student)}
    shifted = student.get_layer("image")
    ranges = {
        "lr": (0.0, 255.0),
        "tail": (0.0, 255.0),
        "image": (shifted.minimum, shifted.maximum),
        "head": ends["head_output"],
        "body": ends["body_output"],
        "body_add": ends["feature"],
    }
    for name, end in ends.items():
        # Our site behind a convolution has a name of its own; in the copy it has the layer's name.
        if name.endswith("_relu"):
            ranges[name.replace("_relu", "_conv_0")] = end
        elif name.endswith("_residual"):
            ranges[name.replace("_residual", "_conv_1")] = end
        elif name.startswith("upsample"):
            ranges[name.removesuffix("_output")] = end
        elif name.startswith("block_") and name.endswith("_input") and name != "block_0_input":
            ranges[f"block_{int(name.split('_')[1]) - 1}_add"] = end
    blocks = sum(name.endswith("_conv_0") for name in ranges)
    return {**ranges, f"block_{blocks - 1}_add": ends["body_input"]}


def _ours(method: str, settings: Any, sets: Sequence[Any]) -> dict[str, Any]:
    from pams_tf import models
    from pams_tf.export.converter import convert
    from pams_tf.runs import RunFolder
    from pams_tf.training.jobs import distil
    from pams_tf.training.settings import run_name

    recipe = _recipe(method)
    run = RunFolder(Path(FLAGS.runs) / run_name(settings, recipe))
    result = distil(settings, recipe, run, progress=True)
    student = models.load(run.student)
    row = {"run": str(run.path), "best_step": result.best_step, "valid_psnr": result.best_psnr}
    try:
        content = convert(student, None, io_dtype="int8")
    except InputError as error:
        return {**row, "no_file": str(error), **_measured(student, None, sets)}
    return {**row, "bytes": len(content), **_measured(student, content, sets)}


def _recipe(method: str) -> Any:
    from pams_tf.recipe import QuantizationRecipe

    return QuantizationRecipe(method=method, bits=8, scope="all", per_channel=True)


def _measured(network: Any, content: bytes | None, sets: Sequence[Any]) -> dict[str, Any]:
    """PSNR-Y on each set, of the network in Keras and of its file."""
    from pams_tf.evaluation.benchmark import evaluate
    from pams_tf.evaluation.upscaler import keras_upscale, tflite_upscale

    ways: dict[str, Any] = {"simulated": keras_upscale(network)}
    if content is not None:
        ways["file"] = tflite_upscale(content)
    return {
        "psnr": {
            pairs.name: {
                kind: evaluate(ways[kind], pairs).psnr if kind in ways else None for kind in KINDS
            }
            for pairs in sets
        }
    }


def _shown(psnr: float | None) -> str:
    return "" if psnr is None else f"{psnr:.3f}"


if __name__ == "__main__":
    sys.exit(main())
