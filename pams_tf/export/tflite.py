"""The converter: a quantized network becomes a fully integer TensorFlow Lite file."""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from pams_tf import models
from pams_tf.errors import InputError
from pams_tf.export.graph import IntegerSites
from pams_tf.export.inspection import check_alphas, check_integer
from pams_tf.export.npu import NpuSites
from pams_tf.models import SuperResolution
from pams_tf.models.registry import architecture
from pams_tf.quantization.functional import levels
from pams_tf.training.calibration import calibrate
from pams_tf.training.checkpoints import transfer_weights
from pams_tf.training.distillation import quantizers

TARGETS = {"cpu": IntegerSites, "npu": NpuSites}


def convert(
    model: SuperResolution,
    input_size: tuple[int, int],
    calibration: Iterable[Any] | None = None,
    *,
    target: str = "cpu",
) -> bytes:
    """Convert a student to a fully integer TFLite file.

    Each learned alpha becomes the scale alpha / (2**(bits-1) - 1) of an int8 tensor with zero
    point 0. Image bytes p enter and leave as the int8 code p - 128 (scale 1, zero point -128).
    Weights are int8 on the recipe's grid, biases int32. No representative dataset, no other range.

    Args:
      model: a network with a recipe of at most 8 bits.
      input_size: height and width of the LR image the file takes.
      calibration: for a recipe of scope "body", LR images (N, H, W, 3) float32 in [0, 255] for
        the ranges of head and tail (see `whole_network`); not used for scope "all".
      target: what runs the file. "npu": the same codes without DEPTH_TO_SPACE, which several
        accelerators refuse; see `NpuSites`.

    Returns:
      The file's content, checked: only int8 and int32 tensors, only built-in operators, every
      alpha found.

    Raises:
      InputError: no recipe, more than 8 bits, batch normalization, a size that is not positive,
        an unknown target, or calibration images missing.
    """
    if target not in TARGETS:
        raise InputError(f"target={target!r} is not possible; choose {' or '.join(TARGETS)}")
    height, width = input_size
    if height < 1 or width < 1:
        raise InputError(f"input size {height}x{width} is not possible; give HEIGHTxWIDTH")
    _check_exportable(model)
    whole = whole_network(model, calibration)

    sites = TARGETS[target](whole)
    parts = architecture(whole.preset, whole.scale, whole.overrides)

    @tf.function(input_signature=[tf.TensorSpec((1, height, width, 3), tf.float32, "lr")])
    def graph(image: Any) -> Any:
        output, _ = parts.connect(sites.image(image), parts.config, whole.scale, sites)
        return sites.image(output)

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    content = converter.convert()
    check_integer(content)
    check_alphas(content, {q.name: float(q.alpha) / levels(q.bits) for q in quantizers(whole)})
    return content


def convert_float(model: SuperResolution, input_size: tuple[int, int]) -> bytes:
    """The same network as a float32 TFLite file, quantizers and all left out, for comparison."""
    height, width = input_size
    twin = models.build(model.preset, model.scale, **model.overrides)
    transfer_weights(model, twin)

    @tf.function(input_signature=[tf.TensorSpec((1, height, width, 3), tf.float32, "lr")])
    def graph(image: Any) -> Any:
        return twin(image, training=False)

    # The converter freezes the variables it finds; in a Keras model it does not look for them.
    holder = tf.Module()
    holder.frozen = [variable.value for variable in twin.variables]
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], holder
    ).convert()


def whole_network(
    student: SuperResolution, calibration: Iterable[Any] | None = None
) -> SuperResolution:
    """The student with a quantizer at every site: what an integer file is a copy of.

    A student of scope "all" is returned as it is. For scope "body" the ranges of head and tail
    are the largest values of its own activations there; the body's alphas stay as learned.

    Raises:
      InputError: scope "body" without calibration images.
    """
    assert student.recipe is not None
    if student.recipe.scope == "all":
        return student
    if calibration is None:
        raise InputError(
            "a student of scope 'body' has no ranges for head and tail; give calibration images"
        )
    recipe = student.recipe.replace(scope="all")
    whole = models.build(student.preset, student.scale, recipe, **student.overrides)
    transfer_weights(student, whole)
    learned = {q.name for q in quantizers(student)}
    missing = [q.name for q in quantizers(whole) if q.name not in learned]
    calibrate(whole, student, calibration, only=missing)
    return whole


def _check_exportable(model: SuperResolution) -> None:
    recipe = model.recipe
    if recipe is None:
        raise InputError(
            f"{model.preset} x{model.scale} is a float network without ranges; fine-tune a student "
            "first, or convert it to a float file"
        )
    widest = max(recipe.bits, recipe.edge_bits)
    if widest > 8:
        raise InputError(
            f"a recipe of {widest} bits cannot become an int8 file; 8 bits are the most"
        )
    if model.overrides.get("batch_norm"):
        raise InputError(
            "a network with batch normalization cannot be exported; train it without batch_norm"
        )
