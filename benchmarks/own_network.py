"""What a Keras network of one's own loses in integers, way by way; see --help."""

import itertools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf.commands import cli, options

DESCRIPTION = """One row for a network: PSNR-Y in float, after TensorFlow Lite's post-training
quantization, and as integer files of 8 and 4 bits without training, with their size and latency.

Example: python benchmarks/own_network.py --teacher mine.keras --data BSDS400 --images Set5,B100
"""

FLAGS = cli.command_flags()
flags.DEFINE_string(
    "teacher", None, "The float network, a .keras file.", required=True, flag_values=FLAGS
)
flags.DEFINE_string(
    "data", None, "Folder of training images; default: the built-in ones.", flag_values=FLAGS
)
flags.DEFINE_list("images", ["sample"], "Benchmarks: folders, or sample.", flag_values=FLAGS)
flags.DEFINE_string("method", "pams", "As in pams-finetune.", flag_values=FLAGS)
flags.DEFINE_string("input_size", "180x320", "LR size for the latency.", flag_values=FLAGS)
flags.DEFINE_integer("rounds", 8, "Number of timed pairs.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("threads", 2, "Number of threads for the latency.", flag_values=FLAGS)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one network; `argv` includes the program's name. Returns the exit status."""
    return cli.run(_measure, FLAGS, DESCRIPTION, argv)


def _measure() -> dict[str, Any]:
    size = options.size(FLAGS.input_size)
    cli.load_tensorflow()
    import pams_tf
    from pams_tf import models
    from pams_tf.export.variants import convert_float
    from pams_tf.litert.latency import paired_latency
    from pams_tf.reporting.tables import print_table

    teacher = models.load(FLAGS.teacher)
    network: dict[str, Any] = {
        "float": teacher,
        "TensorFlow Lite PTQ, 8 bits": _post_training(teacher.scale, teacher.channels),
    }
    students = {bits: _student(teacher, bits) for bits in (8, 4)}
    for bits, student in students.items():
        network[f"{bits} bits"] = pams_tf.convert(student, None)
    rows = {}
    for name, model in network.items():
        figures = [pams_tf.evaluate(model, images).psnr for images in FLAGS.images]
        rows[name] = {"psnr": figures, "bytes": len(model) if isinstance(model, bytes) else None}
    times = paired_latency(
        pams_tf.convert(students[8], size),
        convert_float(teacher, size),
        FLAGS.rounds,
        num_threads=FLAGS.threads,
    )
    print_table(
        f"{teacher.described}; the 8-bit file takes {1 / times.ratio:.2f} times as long as float",
        ("", *(f"{Path(images).name}, dB" for images in FLAGS.images), "bytes"),
        [
            (
                name,
                *(f"{psnr:.3f}" for psnr in row["psnr"]),
                f"{row['bytes']:,}" if row["bytes"] else "",
            )
            for name, row in rows.items()
        ],
    )
    return {"network": teacher.described, "files": rows, "int8_over_float": 1 / times.ratio}


def _student(teacher: Any, bits: int) -> Any:
    """As `pams-finetune --teacher --scope all --steps 0` makes it."""
    import pams_tf

    recipe = pams_tf.QuantizationRecipe.best(bits, FLAGS.method, scope="all")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        return pams_tf.finetune(teacher, recipe, FLAGS.data, run=run, steps=0)


def _post_training(scale: int, channels: int) -> bytes:
    """Full-integer post-training quantization, as TensorFlow's guide does it."""
    import keras
    import tensorflow as tf

    from pams_tf.data.calibration import lr_batches

    def images() -> Any:
        for lr in itertools.islice(lr_batches(FLAGS.data, scale, channels), 64):
            yield [lr]

    model = keras.saving.load_model(FLAGS.teacher, compile=False)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = images
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    return bytes(converter.convert())


if __name__ == "__main__":
    sys.exit(main())
