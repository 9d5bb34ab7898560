"""A copy of EDSR in tf_keras for tensorflow-model-optimization, which does not support Keras 3.

Import it with TF_USE_LEGACY_KERAS=1 in the environment. Source of the method: Jacob et al. 2018, as
tensorflow-model-optimization implements it by default: 8 bits, weights per channel, and asymmetric
activations whose minimum and maximum are moving averages over batches with a decay of 0.999.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from pams_tf.errors import InputError
from pams_tf.models import SuperResolution
from pams_tf.models.blocks import RGB_MEAN
from pams_tf.models.edsr import EDSRConfig
from pams_tf.models.registry import architecture
from pams_tf.models.upsampling import STEPS

layers = tf_keras.layers
quantization = tfmot.quantization.keras


class DepthToSpace(layers.Layer):
    """(N, H, W, s*s*C) -> (N, s*H, s*W, C)."""

    def __init__(self, scale: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, x: Any) -> Any:
        return tf.nn.depth_to_space(x, self.scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


class MovesValues(quantization.QuantizeConfig):
    """The configuration of a layer that only moves values, which are already on their grid."""

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        return []

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
        pass

    def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        return []

    def get_config(self) -> dict[str, Any]:
        return {}


OWN = {"DepthToSpace": DepthToSpace, "MovesValues": MovesValues}


def float_twin(network: SuperResolution) -> Any:
    """The float network as a tf_keras model of the same function, on (N, H, W, 3) in [0, 255].

    Raises:
      InputError: it is not an EDSR, or it has batch normalization or scaled residuals.
    """
    config = architecture(network.preset, network.scale, network.overrides).config
    if not isinstance(config, EDSRConfig) or config.batch_norm or config.res_scale != 1.0:
        raise InputError(
            f"there is no tf_keras twin of {network.preset} {network.overrides or ''}; give an "
            "EDSR without batch normalization and with res_scale 1, such as edsr_baseline"
        )

    def convolution(x: Any, name: str, relu: bool = False, bias: Any = 0.0) -> Any:
        kernel, own_bias = network.get_layer(name).get_weights()
        layer = layers.Conv2D(
            kernel.shape[-1],
            kernel.shape[0],
            padding="same",
            activation="relu" if relu else None,
            name=name,
        )
        y = layer(x)
        layer.set_weights([kernel, own_bias + bias])
        return y

    def enlarged(x: Any, step: int, name: str) -> Any:
        return quantization.quantize_annotate_layer(DepthToSpace(step, name=name), MovesValues())(x)

    image = layers.Input((None, None, 3), name="lr")
    # As in our integer files, an identity convolution subtracts the mean.
    shift = layers.Conv2D(3, 1, name="image", trainable=False)
    x = shift(image)
    shift.set_weights([np.eye(3, dtype=np.float32)[None, None], -np.float32(RGB_MEAN)])
    x = head = convolution(x, "head")
    for i in range(config.blocks):
        y = convolution(x, f"block_{i}_conv_0", relu=True)
        y = convolution(y, f"block_{i}_conv_1")
        x = layers.Add(name=f"block_{i}_add")([x, y])
    x = layers.Add(name="body_add")([convolution(x, "body"), head])
    if config.direct:
        mean = np.tile(RGB_MEAN, network.scale**2)
        x = enlarged(convolution(x, "tail", bias=mean), network.scale, "tail_shuffle")
    else:
        for i, step in enumerate(STEPS[network.scale]):
            x = enlarged(convolution(x, f"upsample_{i}"), step, f"upsample_{i}_shuffle")
        x = convolution(x, "tail", bias=np.float32(RGB_MEAN))
    return tf_keras.Model(image, x, name=network.name)


def quantized(twin: Any) -> Any:
    """The twin with quantization-aware training, with the package's defaults."""
    with quantization.quantize_scope(OWN):
        return quantization.quantize_apply(quantization.quantize_annotate_model(twin))


def begin(student: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Set every range before the first step; otherwise activations start with [-6, 6].

    Args:
      student: from `quantized`; the ranges of its weights are set to those of its current weights.
      ranges: name of a layer of the float twin -> smallest and largest value of its output; "lr"
        for the image.
    """
    student(np.zeros((1, 8, 8, 3), np.float32), training=True)  # sets the ranges of the weights
    for layer in student.layers:
        ends = {v.name.rsplit("_", 1)[-1][:3]: v for v in layer.variables if _is_end(v.name)}
        name = layer.name.removeprefix("quant_")
        name = "lr" if name.startswith("quantize_layer") else name
        if ends:
            for end, value in zip(("min", "max"), ranges[name], strict=True):
                ends[end].assign(value)


def train(
    student: Any,
    settings: Any,
    batches: Any,
    validate: Callable[[], float],
    report: Callable[[int, float], None],
) -> tuple[int, float]:
    """Train with L1 and Adam; the student ends with the weights of the best checkpoint.

    Args:
      student: from `quantized`.
      settings: `TrainingSettings` of schedule "halving".
      batches: tf.data.Dataset of (LR, HR) batches, starting at step 0.
      validate: returns the PSNR (dB) of the student in its current state.
      report: called with step and PSNR at each checkpoint.

    Returns:
      Step and PSNR of the best checkpoint.
    """
    rate = tf_keras.optimizers.schedules.ExponentialDecay(
        settings.learning_rate, settings.halve_every, 0.5, staircase=True
    )
    student.compile(tf_keras.optimizers.Adam(rate, epsilon=1e-8), loss="mean_absolute_error")
    step, best, weights = 0, (0, validate()), student.get_weights()
    report(*best)
    while step < settings.steps:
        length = min(settings.checkpoint_every, settings.steps - step)
        student.fit(batches.skip(step).take(length), shuffle=False, verbose=0)
        step += length
        psnr = validate()
        report(step, psnr)
        if psnr > best[1]:
            best, weights = (step, psnr), student.get_weights()
    student.set_weights(weights)
    return best


def to_int8(student: Any, input_size: tuple[int, int] | None = None) -> bytes:
    """The student as an int8 file, converted as the package intends, without a dataset."""

    @tf.function(input_signature=[tf.TensorSpec((1, *(input_size or (None, None)), 3))])
    def graph(image: Any) -> Any:
        return student(image, training=False)

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], student
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def _is_end(name: str) -> bool:
    """Whether a variable is the minimum or the maximum of an activation's range."""
    return name.endswith(("_min:0", "_max:0")) and "kernel" not in name
