"""Converts a quantized network to a fully integer TensorFlow Lite file."""

from typing import Any

import tensorflow as tf

from pams_tf.data.calibration import Images
from pams_tf.errors import InputError
from pams_tf.export.biases import with_exact_biases
from pams_tf.export.description import describe
from pams_tf.export.integer_sites import IntegerSites
from pams_tf.export.npu import EthosU85Sites, NpuSites
from pams_tf.litert import metadata
from pams_tf.litert.checks import check_alphas, check_integer
from pams_tf.models import SuperResolution, fully_quantized, load
from pams_tf.models.files import Source
from pams_tf.models.limits import check_limits
from pams_tf.quantization import QuantConv2D

IO_DTYPES = ("int8", "uint8", "float32")
WEIGHTS = ("int8", "int4")
TARGETS = {"cpu": IntegerSites, "npu": NpuSites, "ethos-u85": EthosU85Sites}
DEFAULT_IO_DTYPES = {"cpu": "uint8", "npu": "int8", "ethos-u85": "int8"}
"""uint8 suits applications, which hold images as bytes. An accelerator runs a whole file only if
no tensor in it is uint8: LiteRT runs the QUANTIZE at either end of a uint8 file on the CPU."""


def convert(
    model: Source,
    input_size: tuple[int, int] | None,
    images: Images = None,
    *,
    percentile: float = 100.0,
    io_dtype: str | None = None,
    weights: str = "int8",
    target: str = "cpu",
    run: str | None = None,
    author: str = "",
    license: str = "",
) -> bytes:
    """Convert a calibrated student to a fully integer TFLite file.

    Each learned alpha becomes the scale alpha / (2**(bits-1) - 1) of an int8 tensor with zero
    point 0. Behind a ReLU, where the grid is unsigned, the scale is alpha / (2**bits - 1), with
    zero point -128 at 8 bits. A minimum/maximum range becomes a scale and a zero point. Weights
    lie on the recipe's grid, batch normalization is folded into them, and biases are int32. No
    representative dataset is used, and no range is estimated by the converter.

    Example:
      >>> import pams_tf
      >>> recipe = pams_tf.QuantizationRecipe(bits=8, scope="all")
      >>> student = pams_tf.quantize("edsr_mobile_x2", recipe)
      >>> content = pams_tf.convert(student, input_size=(90, 160))
      >>> content[4:8]
      b'TFL3'

    Args:
      model: a student with a recipe of at most 8 bits: a Keras model of `pams_tf`, a `.keras` file
        or a run folder.
      input_size: height and width in pixels of the LR image that the file takes; None leaves both
        dynamic.
      images: for a recipe of scope "body", the LR images that calibrate the ranges of head and
        tail, in any form that `quantize` accepts; not used for scope "all".
      percentile: percentile of each calibration image's values at a site that its range covers;
        100 trims nothing.
      io_dtype: type of the file's input and output image. "uint8": bytes as they are; "int8": byte
        p is the code p - 128; "float32": [0, 255]. The graph itself is int8, so "int8" adds
        nothing. "uint8" adds a QUANTIZE at each end, which LiteRT leaves to builtin kernels on the
        CPU; "float32" adds a QUANTIZE and a DEQUANTIZE, which XNNPACK runs, but Vela leaves to the
        CPU. None means uint8 for the CPU and int8 for the other targets.
      weights: how kernels of 4 bits or fewer are stored. "int8", the default for every target, is
        fast on every CPU and the only type that Vela supports; "int4" takes half the bytes.
      target: what runs the file. "npu": the same codes without DEPTH_TO_SPACE, which several
        accelerators do not support; see `NpuSites`. "ethos-u85": the same codes in the form that
        is fastest on that accelerator; see `EthosU85Sites`.
      run: name of the run that the model comes from, for the file's metadata.
      author, license: of the network, for TensorFlow Lite's own metadata; "" omits them.

    Returns:
      The content of the file, after checking that it has only integer tensors, only built-in
      operators, and every alpha as a scale. Its input is named "lr", its output "sr".

    Raises:
      InputError: the model has no recipe, was never calibrated, or has more than 8 bits or 8-bit
        DoReFa weights; the sums of a convolution could pass int32; the size is not positive;
        calibration images are missing; io_dtype, weights or target is unknown; no kernel fits
        int4; or the size is left open for an NPU.

    Source: Li et al., ECCV 2020, Eq. 1 and 2; TensorFlow Lite 8-bit quantization specification.
    """
    student = load(model)
    spec = input_spec(input_size, student.channels)
    if target not in TARGETS:
        raise InputError(f"target={target!r} is not possible; choose one of {', '.join(TARGETS)}")
    if target != "cpu" and input_size is None:
        raise InputError("an NPU takes images of one size; give HEIGHTxWIDTH")
    io_dtype = io_dtype or DEFAULT_IO_DTYPES[target]
    _check_exportable(student, io_dtype, weights)
    whole = fully_quantized(student, images, percentile)
    check_limits(whole)
    sites = TARGETS[target](whole, weights)

    @tf.function(input_signature=[spec])
    def graph(image: Any) -> Any:
        output, _ = whole.architecture.connect(sites.input(image), whole.scale, sites)
        return sites.image(output).tensor

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.dtypes.as_dtype(io_dtype)
    converter.inference_output_type = tf.dtypes.as_dtype(io_dtype)
    content = with_exact_biases(converter.convert(), sites.biases)
    check_integer(content, io_dtype, weights)
    check_alphas(
        content,
        {site: held.scale for site, held in sites.sites.items()},
        {site: held.zero_point for site, held in sites.sites.items()},
    )
    about = describe(content, student, whole, target, run)
    return metadata.finish(content, about, author, license)


def input_spec(input_size: tuple[int, int] | None, channels: int = 3) -> tf.TensorSpec:
    """The spec of one LR image (1, H, W, C); None leaves its height and width dynamic.

    Raises:
      InputError: the height or the width is below 1.
    """
    height, width = input_size or (None, None)
    if height is not None and width is not None and (height < 1 or width < 1):
        raise InputError(f"input size {height}x{width} is not possible; give HEIGHTxWIDTH")
    return tf.TensorSpec((1, height, width, channels), tf.float32, "lr")


def _check_exportable(model: SuperResolution, io_dtype: str, weights: str) -> None:
    recipe = model.recipe
    if io_dtype not in IO_DTYPES:
        raise InputError(
            f"io_dtype={io_dtype!r} is not possible; choose one of {', '.join(IO_DTYPES)}"
        )
    if weights not in WEIGHTS:
        raise InputError(f"weights={weights!r} is not possible; choose {' or '.join(WEIGHTS)}")
    if recipe is None:
        raise InputError(
            f"{model.described} is a float network without ranges; quantize or fine-tune it first, "
            "or convert it to a float file"
        )
    if not recipe.fits_int8:
        raise InputError(
            f"a recipe of {max(recipe.all_bits)} bits cannot become an int8 "
            "file; 8 bits are the most"
        )
    if weights == "int4" and min(recipe.all_bits) > 4:
        raise InputError(
            f"weights='int4' cannot hold the kernels of a recipe of {recipe.bits} bits; "
            "fine-tune one of at most 4, or store them as int8"
        )
    for layer in model.layers:
        if not (isinstance(layer, QuantConv2D) and layer.kernel_quantizer == "dorefa"):
            continue
        # DoReFa's codes are odd numbers from -(2**bits - 1) to 2**bits - 1: they need one bit more.
        bits = layer.bits
        width = 4 if weights == "int4" and bits <= 4 else 8
        if bits >= width:
            raise InputError(
                f"the {bits}-bit weights of method='dorefa' have the codes -{layer.qmax} to "
                f"{layer.qmax}, which need {bits + 1} bits: int{width} holds those of at most "
                f"{width - 1} bits"
            )
    if not model.calibrated:
        raise InputError(
            f"the ranges of {model.described} are placeholders: it was never calibrated; make the "
            "student with pams_tf.quantize or fine-tune it"
        )
