"""The converter: a quantized network becomes a fully integer TensorFlow Lite file."""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from pams_tf.errors import InputError
from pams_tf.export import metadata
from pams_tf.export.graph import IntegerSites
from pams_tf.export.inspection import check_alphas, check_integer
from pams_tf.export.npu import EthosU85Sites, NpuSites
from pams_tf.models import SuperResolution
from pams_tf.models.registry import architecture
from pams_tf.training.calibration import calibrate
from pams_tf.training.checkpoints import with_recipe
from pams_tf.training.distillation import quantizers

EDGES = ("int8", "uint8", "float32")
WEIGHTS = ("int8", "int4")
TARGETS = {"cpu": IntegerSites, "npu": NpuSites, "ethos-u85": EthosU85Sites}


def convert(
    model: SuperResolution,
    input_size: tuple[int, int] | None,
    calibration: Iterable[Any] | None = None,
    *,
    percentile: float = 100.0,
    edges: str = "uint8",
    weights: str = "int8",
    target: str = "cpu",
    run: str | None = None,
) -> bytes:
    """Convert a student to a fully integer TFLite file.

    Each learned alpha becomes the scale alpha / (2**(bits-1) - 1) of an int8 tensor with zero
    point 0; behind a ReLU, where a grid is unsigned, alpha / (2**bits - 1), with zero point -128 if
    it has 8 bits; a range of minimum and maximum becomes scale and zero point. Weights lie on the
    recipe's grid, batch normalization is folded into them, biases are int32. No representative
    dataset, no other range.

    Args:
      model: a network with a recipe of at most 8 bits.
      input_size: height and width of the LR image the file takes; None leaves both open.
      calibration: for a recipe of scope "body", LR images (N, H, W, 3) float32 in [0, 255] for
        the ranges of head and tail (see `whole_network`); not used for scope "all".
      percentile: of each calibration image's values at a site; 100 trims nothing and is best where
        it was measured.
      edges: what images are in the file's input and output. "uint8": bytes as they are; "int8":
        byte p is the code p - 128; "float32": [0, 255]. The int8 in between costs "uint8" a
        QUANTIZE at each end, "float32" a QUANTIZE and a DEQUANTIZE, "int8" nothing.
      weights: how kernels of 4 bits and less are stored. "int8", for every target the default:
        fast on every CPU, and all that Vela takes; "int4": half the bytes, for whoever takes it.
      target: what runs the file. "npu": the same codes without DEPTH_TO_SPACE, which several
        accelerators refuse; see `NpuSites`. "ethos-u85": the same codes again, in the form
        that is fastest there; see `EthosU85Sites`.
      run: name of the run the model came from, for the file's metadata.

    Returns:
      The file's content, checked: only integer tensors, only built-in operators, every alpha
      found.

    Raises:
      InputError: no recipe, more than 8 bits, DoReFa's weights of 8 bits, a size that is not
        positive, calibration images missing, unknown edges, weights or target, no kernel that fits
        into int4, or an open size for an NPU.
    """
    spec = input_spec(input_size)
    _check_exportable(model, edges, weights)
    if target not in TARGETS:
        raise InputError(f"target={target!r} is not possible; choose one of {', '.join(TARGETS)}")
    if target != "cpu" and input_size is None:
        raise InputError("an NPU takes images of one size; give HEIGHTxWIDTH")
    whole = whole_network(model, calibration, percentile)
    sites = TARGETS[target](whole, weights)
    parts = architecture(whole.preset, whole.scale, whole.overrides)

    @tf.function(input_signature=[spec])
    def graph(image: Any) -> Any:
        output, _ = parts.connect(sites.image(image), parts.config, whole.scale, sites)
        return sites.image(output)

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.dtypes.as_dtype(edges)
    converter.inference_output_type = tf.dtypes.as_dtype(edges)
    content = converter.convert()
    check_integer(content, edges, weights)
    check_alphas(content, sites.scales, sites.zero_points)
    about = metadata.describe(content, model, whole, sites.units, target, run)
    return metadata.embed(content, about)


def whole_network(
    student: SuperResolution,
    calibration: Iterable[Any] | None = None,
    percentile: float = 100.0,
) -> SuperResolution:
    """The student with a quantizer at every site: what an integer file is a copy of.

    A student of scope "all" is returned as it is. For scope "body" the ranges of head and tail
    are the largest values of its own activations there, or the largest of the samples'
    percentiles; the body's alphas stay as learned.

    Raises:
      InputError: scope "body" without calibration images, a percentile out of range, or one
        below 100 for scope "all".
    """
    assert student.recipe is not None
    if student.recipe.scope == "all":
        if percentile != 100:
            raise InputError(
                f"percentile={percentile!r} is not possible for a student of scope 'all': it has "
                "learned every range; leave it out"
            )
        return student
    if calibration is None:
        raise InputError(
            "a student of scope 'body' has no ranges for head and tail; give calibration images"
        )
    whole = with_recipe(student, student.recipe.replace(scope="all"))
    learned = {q.name for q in quantizers(student)}
    missing = [q.name for q in quantizers(whole) if q.name not in learned]
    calibrate(whole, student, calibration, only=missing, percentile=percentile)
    return whole


def input_spec(input_size: tuple[int, int] | None) -> tf.TensorSpec:
    """One LR image (1, H, W, 3); None leaves its size open. InputError for a size below 1."""
    height, width = input_size or (None, None)
    if height is not None and width is not None and (height < 1 or width < 1):
        raise InputError(f"input size {height}x{width} is not possible; give HEIGHTxWIDTH")
    return tf.TensorSpec((1, height, width, 3), tf.float32, "lr")


def _check_exportable(model: SuperResolution, edges: str, weights: str) -> None:
    recipe = model.recipe
    if edges not in EDGES:
        raise InputError(f"edges={edges!r} is not possible; choose one of {', '.join(EDGES)}")
    if weights not in WEIGHTS:
        raise InputError(f"weights={weights!r} is not possible; choose {' or '.join(WEIGHTS)}")
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
    if weights == "int4" and min(recipe.bits, recipe.edge_bits) > 4:
        raise InputError(
            f"weights='int4' cannot hold the kernels of a recipe of {recipe.bits} bits; "
            "fine-tune one of at most 4, or store them as int8"
        )
    if recipe.method == "dorefa":
        # Odd codes up to 2**bits - 1, with both signs: a bit more than the width.
        width = 4 if weights == "int4" and recipe.bits <= 4 else 8
        if recipe.bits >= width:
            raise InputError(
                f"the {recipe.bits}-bit weights of method='dorefa' have the codes -"
                f"{2**recipe.bits - 1} to {2**recipe.bits - 1}, which need {recipe.bits + 1} bits: "
                f"int{width} holds those of at most {width - 1} bits"
            )
