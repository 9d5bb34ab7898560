"""Other conversions of the same network, for comparison: float32, float16 and default PTQ."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from pams_tf.export.converter import input_spec
from pams_tf.litert.metadata import name_images
from pams_tf.litert.packing import repacked
from pams_tf.models import SuperResolution
from pams_tf.models.transfer import with_recipe


def convert_float(
    model: SuperResolution, input_size: tuple[int, int] | None, *, half: bool = False
) -> bytes:
    """The network without its quantizers as a float TFLite file; image values in [0, 255].

    Args:
      model: a float network or a student.
      input_size: height and width of the LR image; None leaves both dynamic.
      half: store weights as float16 in half the bytes; a CPU still computes in float32.

    Raises:
      InputError: the size is not positive.
    """
    converter = _float_converter(model, input_size)
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return repacked(converter.convert(), name_images)


def convert_ptq(
    model: SuperResolution, input_size: tuple[int, int], calibration: Iterable[Any]
) -> bytes:
    """The network without its quantizers, with TensorFlow Lite's own post-training quantization.

    Full int8 with the default settings: asymmetric activations from minimum and maximum, and
    weights per channel.

    Args:
      model: a float network, or a student whose float weights are used.
      input_size: height and width of the LR image.
      calibration: batches of LR images (N, H, W, 3), float32 in [0, 255], of any size; they are
        cropped or tiled to the input size, the only one at which the calibrator runs the graph.

    Raises:
      InputError: the size is not positive.
    """
    converter = _float_converter(model, input_size)

    def images() -> Any:
        for batch in calibration:
            for lr in np.asarray(batch):
                repeats = [
                    -(-want // have) for want, have in zip(input_size, lr.shape, strict=False)
                ]
                tiled = np.tile(lr, (*repeats, 1))[: input_size[0], : input_size[1]]
                yield [tiled[None].astype(np.float32)]

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = images
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return repacked(converter.convert(), name_images)


def _float_converter(model: SuperResolution, input_size: tuple[int, int] | None) -> Any:
    twin = with_recipe(model, None)

    @tf.function(input_signature=[input_spec(input_size, model.channels)])
    def graph(image: Any) -> Any:
        return twin(image, training=False)

    # The converter freezes the variables that it finds, and it does not search a Keras model.
    holder = tf.Module()
    holder.frozen = [variable.value for variable in twin.variables]
    return tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()], holder)
