"""A whole file computed in NumPy from its own tensors, with nothing of this package's arithmetic.

Sums are int64; a float32 multiplier brings them to the next grid, rounded half to even (XNNPACK),
and where XNNPACK has no kernel (PRELU) a fixed-point one of 31 bits does (gemmlowp).
"""

import math

import numpy as np
from keras import layers

import pams_tf
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert.interpreter import ImageInterpreter
from pams_tf.models import from_keras
from tests.models.graph import networks
from tests.models.graph.test_networks import RECIPE, picture

F = np.float32


def mixture():
    """A convolution, a depthwise one with strides in between, PReLU, a gate, sums and products."""
    image = networks.started()
    x = networks.conv(layers.Rescaling(1 / 255)(image), 8, activation="relu")
    y = layers.DepthwiseConv2D(3, padding="same", dilation_rate=2)(x)
    y = networks.conv(layers.PReLU(shared_axes=[1, 2])(y), 8, size=(1, 5), activation="tanh")
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    y = layers.Multiply()([y, networks.conv(gate, 8, 1, activation="sigmoid")])
    x = layers.LeakyReLU(0.2)(networks.conv(layers.Add()([x, y]), 8, strides=2))
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    return networks.finished(image, layers.Concatenate()([x, y]), tail_unit=255)


class File:
    """A .tflite file whose operators are computed here."""

    def __init__(self, content):
        self.info = read_file(content)
        self.codes = {}

    def run(self, image):
        self.codes = {self.info.inputs[0]: image[None].astype(np.int64)}
        for operator in self.info.graph:
            compute = getattr(self, operator.name.lower())
            result = compute(operator, self.info.tensors[operator.outputs[0]])
            self.codes[operator.outputs[0]] = result
        return self.codes[self.info.outputs[0]][0]

    def tensor(self, operator, place):
        """(codes with the zero point subtracted, scale, zero point) of an input."""
        index = operator.inputs[place]
        tensor = self.info.tensors[index]
        codes = self.codes[index] if index in self.codes else tensor.codes().astype(np.int64)
        zero = tensor.zero_points[0] if tensor.zero_points else 0
        return codes - zero, np.asarray(tensor.scales, F), zero

    def numbers(self, operator, place):
        return np.frombuffer(self.info.tensors[operator.inputs[place]].data, np.int32)

    @staticmethod
    def stored(steps, out, activation=0):
        """Whole steps of the output's grid as its codes."""
        low, high = (0, 255) if out.dtype == "uint8" else (-128, 127)
        zero = out.zero_points[0]
        assert activation in (0, 1)  # none or RELU
        low = max(low, zero) if activation == 1 else low
        return np.clip(steps.astype(np.int64) + zero, low, high)

    def rescaled(self, sums, multiplier, operator, out):
        steps = np.rint(sums.astype(F) * multiplier)
        return self.stored(steps, out, operator.options.get("fusedActivationFunction", 0))

    # Operators.

    def quantize(self, operator, out):
        x, scale, _ = self.tensor(operator, 0)
        assert scale[0] == out.scales[0] or out.dtype == "int8"
        multiplier = round(256 * float(scale[0] / F(out.scales[0])))
        return self.stored((x * multiplier + 128) >> 8, out)

    def _windows(self, operator, height, width):
        """The part of the padded image below each place of the kernel."""
        x, _, _ = self.tensor(operator, 0)
        options = operator.options
        stride = options["strideH"]
        dilation = options["dilationHFactor"]
        sides = []
        for length, size in zip(x.shape[1:3], (height, width), strict=True):
            count, reach = -(-length // stride), (size - 1) * dilation
            total = max((count - 1) * stride + reach + 1 - length, 0)
            if options["padding"] == 1:  # VALID
                count, total = (length - reach - 1) // stride + 1, 0
            sides.append((count, (total // 2, total - total // 2)))
        (rows, above), (columns, left) = sides
        x = np.pad(x, ((0, 0), above, left, (0, 0)))
        for i in range(height):
            for j in range(width):
                top, start = i * dilation, j * dilation
                yield (
                    i,
                    j,
                    x[
                        :,
                        top : top + (rows - 1) * stride + 1 : stride,
                        start : start + (columns - 1) * stride + 1 : stride,
                    ],
                )

    def _convolved(self, operator, out, sums, weight_scales):
        _, scale, _ = self.tensor(operator, 0)
        if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
            sums = sums + self.info.tensors[operator.inputs[2]].codes()
        multiplier = scale[0] * weight_scales / F(out.scales[0])
        return self.rescaled(sums, multiplier, operator, out)

    def conv_2d(self, operator, out):
        kernel, scales, _ = self.tensor(operator, 1)
        windows = self._windows(operator, *kernel.shape[1:3])
        sums = sum(window @ kernel[:, i, j].T for i, j, window in windows)
        return self._convolved(operator, out, sums, scales)

    def depthwise_conv_2d(self, operator, out):
        kernel, scales, _ = self.tensor(operator, 1)
        windows = self._windows(operator, *kernel.shape[1:3])
        sums = sum(window * kernel[0, i, j] for i, j, window in windows)
        return self._convolved(operator, out, sums, scales)

    def add(self, operator, out):
        (a, first, _), (b, second, _) = (self.tensor(operator, place) for place in (0, 1))
        ratios = [float(scale[0] / F(out.scales[0])) for scale in (first, second)]
        shift = 20 - (math.frexp(max(ratios))[1] - 1)
        m, n = (round(ratio * 2.0**shift) for ratio in ratios)
        steps = (a * m + b * n + 2 ** (shift - 1)) >> shift
        return self.stored(steps, out, operator.options["fusedActivationFunction"])

    def mul(self, operator, out):
        (a, first, _), (b, second, _) = (self.tensor(operator, place) for place in (0, 1))
        return self.rescaled(a * b, first * second / F(out.scales[0]), operator, out)

    def mean(self, operator, out):
        x, scale, zero = self.tensor(operator, 0)
        pixels = x.shape[1] * x.shape[2]
        multiplier = F(scale[0] / F(out.scales[0])) * F(F(1) / F(pixels))
        raw = (x + zero).sum(axis=(1, 2), keepdims=True).astype(F)
        offset = F(out.zero_points[0]) - F(pixels * zero) * multiplier
        return np.clip(np.rint(raw * multiplier + offset), -128, 127).astype(np.int64)

    def logistic(self, operator, out):
        x, scale, _ = self.tensor(operator, 0)
        return self.stored(np.rint(256 / (1 + np.exp(-x * float(scale[0])))), out)

    def tanh(self, operator, out):
        x, scale, _ = self.tensor(operator, 0)
        return self.stored(np.rint(128 * np.tanh(x * float(scale[0]))), out)

    def leaky_relu(self, operator, out):
        x, scale, _ = self.tensor(operator, 0)
        ratio = scale[0] / F(out.scales[0])
        above, below = (
            round(256 * float(r)) for r in (ratio, ratio * F(operator.options["alpha"]))
        )
        return self.stored((x * np.where(x < 0, below, above) + 128) >> 8, out)

    def prelu(self, operator, out):
        (x, scale, _), (slopes, step, _) = (self.tensor(operator, place) for place in (0, 1))
        above = float(scale[0]) / float(out.scales[0])
        steps = np.where(
            x < 0, fixed_point(x * slopes, above * float(step[0])), fixed_point(x, above)
        )
        return self.stored(steps, out)

    def concatenation(self, operator, out):
        return np.concatenate([self.codes[index] for index in operator.inputs], axis=-1)

    def mirror_pad(self, operator, out):
        borders = self.numbers(operator, 1).reshape(-1, 2)
        mode = ("reflect", "symmetric")[operator.options["mode"]]
        return np.pad(self.codes[operator.inputs[0]], borders, mode)

    def depth_to_space(self, operator, out):
        x, s = self.codes[operator.inputs[0]], operator.options["blockSize"]
        n, h, w, c = x.shape
        x = x.reshape(n, h, w, s, s, c // s**2).transpose(0, 1, 3, 2, 4, 5)
        return x.reshape(n, h * s, w * s, c // s**2)


def fixed_point(x, factor):
    """x * factor as gemmlowp has it: a factor of 31 bits, then a shift, rounded half away."""
    mantissa, exponent = math.frexp(factor)
    q = round(mantissa * 2**31)
    x = x << max(exponent, 0)
    high = (x * q + 2**30) >> 31
    shift = max(-exponent, 0)
    half = 1 << shift >> 1
    return np.sign(high) * ((np.abs(high) + half) >> shift)


def test_every_code_of_a_file():
    network = from_keras(networks.seeded(mixture(), np.random.default_rng(3)))
    student = pams_tf.quantize(network, RECIPE, [picture(3, 1), picture(3, 2)])
    content = pams_tf.convert(student, (36, 24))
    file, interpreter = File(content), ImageInterpreter(content, 1, keep_tensors=True)
    image = picture(3).astype(np.uint8)
    found, expected = interpreter.run(image), file.run(image)
    for operator in file.info.graph:
        (index,) = operator.outputs
        np.testing.assert_array_equal(
            interpreter.codes(index), file.codes[index], err_msg=operator.name
        )
    np.testing.assert_array_equal(found, expected)
    kinds = {operator.name for operator in file.info.graph}
    assert kinds >= {"CONV_2D", "DEPTHWISE_CONV_2D", "PRELU", "LEAKY_RELU", "ADD", "MUL", "MEAN"}
    assert len(np.unique(found)) > 100
