"""Small Keras networks, one for each layer and each way of writing it, with seeded weights.

They are written as users write them, with nothing of this package. Each ends in a layer "tail"
whose weights are then chosen so that its image is neither black nor white.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

NETWORKS = {}
"""By name: a function without arguments that builds the network."""


def network(make):
    NETWORKS[make.__name__] = make
    return make


def build(name):
    """The network of that name, with weights."""
    return seeded(NETWORKS[name](), np.random.default_rng(sum(name.encode())))


def seeded(model, rng):
    for variable in model.variables:
        shape, kind = variable.shape, variable.name
        if "kernel" in kind:
            fan_in = np.prod(shape[:-1]) if "transpose" not in variable.path else np.prod(shape[:2])
            value = rng.normal(0, 1.4 / np.sqrt(fan_in), shape)
        elif kind in ("gamma", "moving_variance", "variance"):
            value = rng.uniform(0.5, 1.5, shape)
        elif kind == "alpha":
            value = rng.uniform(-0.2, 0.6, shape)
        else:
            value = rng.normal(0, 0.05, shape)
        if variable.dtype.startswith("float"):
            variable.assign(value)
    tail = model.get_layer("tail")
    white = getattr(model, "white", 255.0)
    image = white * rng.uniform(0, 1, (1, 24, 24, model.input_shape[-1])).astype(np.float32)
    inside = keras.Model(model.inputs[0], tail.output)(image).numpy()
    unit = getattr(model, "tail_unit", white) / 255
    kernel, bias = tail.weights[-2:]
    factor = 40 * unit / inside.std()
    kernel.assign(kernel * factor)
    bias.assign(128 * unit + (np.asarray(bias.value) - inside.mean()) * factor)
    return model


def conv(x, filters=6, size=3, **settings):
    return layers.Conv2D(filters, size, padding=settings.pop("padding", "same"), **settings)(x)


def started(channels=3):
    return keras.Input((None, None, channels))


def finished(image, x, scale=2, **attributes):
    """A convolution and depth-to-space."""
    x = conv(x, image.shape[-1] * scale**2, name="tail")
    return model(image, ops.nn.depth_to_space(x, scale) if scale > 1 else x, **attributes)


def model(image, x, **attributes):
    made = keras.Model(image, x, name="mine")
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


# Convolutions.


@network
def conv_valid():
    """Padding first, then valid convolutions; kernels of all shapes."""
    image = started()
    x = layers.ZeroPadding2D(((2, 1), (0, 3)))(image)
    x = conv(x, size=(4, 4), padding="valid", activation="relu")
    x = conv(x, size=(1, 5), activation="relu")
    x = conv(x, size=2, activation="relu", use_bias=False)
    return finished(image, x)


@network
def conv_dilated():
    image = started()
    x = conv(image, activation="relu")
    x = conv(x, dilation_rate=2, activation="relu")
    x = layers.ZeroPadding2D(3)(x)
    x = conv(x, dilation_rate=3, padding="valid")
    return finished(image, x)


@network
def conv_stride_transpose():
    image = started()
    x = conv(image, activation="relu")
    x = conv(x, strides=2, activation="relu")
    x = layers.Conv2DTranspose(6, 4, strides=2, padding="same", activation="relu")(x)
    return finished(image, x)


@network
def conv_stride_nearest():
    """A U-Net of one level."""
    image = started()
    first = conv(image, activation="relu")
    x = conv(first, 8, strides=2, activation="relu")
    x = conv(x, 6, activation="relu")
    x = layers.UpSampling2D(2)(x)
    x = layers.Concatenate()([x, first])
    return finished(image, x)


@network
def conv_grouped():
    image = started()
    x = conv(image, 8, activation="relu")
    x = conv(x, 8, groups=2, activation="relu")
    x = conv(x, 12, groups=4, activation="relu")
    return finished(image, x)


@network
def conv_depthwise():
    image = started()
    x = conv(image, 8, activation="relu")
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.DepthwiseConv2D(5, padding="same", dilation_rate=2)(x)
    return finished(image, x)


@network
def conv_depthwise_multiplier():
    image = started()
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="relu")(image)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=3, use_bias=False)(x)
    return finished(image, x)


@network
def conv_grouped_as_depthwise():
    """One group for each channel, with one and with several filters each."""
    image = started()
    x = conv(image, 8, activation="relu")
    x = conv(x, 8, groups=8, activation="relu")
    x = conv(x, 16, groups=8)
    return finished(image, x)


@network
def conv_separable():
    image = started()
    x = layers.SeparableConv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.SeparableConv2D(6, 3, padding="same", depth_multiplier=2, use_bias=False)(x)
    return finished(image, x)


@network
def transpose_same():
    image = started()
    x = conv(image, activation="relu")
    x = layers.Conv2DTranspose(3, 9, strides=2, padding="same", name="tail")(x)
    return model(image, x)


@network
def transpose_even_kernels():
    image = started()
    x = conv(image, activation="relu")
    x = layers.Conv2DTranspose(6, 2, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(3, 6, strides=2, padding="same", name="tail")(x)
    return model(image, x)


@network
def transpose_valid_crop():
    """FSRCNN's 9x9."""
    image = started()
    x = conv(image, activation="relu")
    x = layers.Conv2DTranspose(3, 9, strides=3, name="tail")(x)
    return model(image, layers.Cropping2D(3)(x))


@network
def transpose_valid_uneven_crop():
    image = started()
    x = conv(image, activation="relu")
    x = layers.Conv2DTranspose(3, 9, strides=4, name="tail")(x)
    return model(image, layers.Cropping2D(((2, 3), (3, 2)))(x))


@network
def transpose_valid_without_crop():
    image = started()
    x = conv(image, activation="relu")
    return model(image, layers.Conv2DTranspose(3, 2, strides=2, name="tail")(x))


@network
def transpose_sliced():
    """As converters from PyTorch write it: the crop is a slice."""
    image = started()
    x = conv(image, activation="relu")
    x = layers.Conv2DTranspose(3, 8, strides=2, name="tail", use_bias=True)(x)
    return model(image, x[:, 3:-3, 3:-3, :])


@network
def transpose_stride_1():
    image = started()
    x = layers.Conv2DTranspose(6, 3, padding="same", activation="relu")(image)
    return finished(image, x)


# Functions.


@network
def relu_layers():
    image = started()
    x = layers.ReLU()(conv(image))
    x = layers.Activation("relu")(conv(x))
    x = ops.relu(conv(x))
    x = layers.Activation(keras.activations.relu)(conv(x))
    x = ops.maximum(conv(x), 0)
    return finished(image, x)


@network
def relu_of_tensorflow():
    """In a layer of one's own and in a Lambda."""

    class Rectified(layers.Layer):
        def call(self, x):
            return tf.nn.relu(x)

        def compute_output_shape(self, shape):
            return shape

    image = started()
    x = Rectified()(conv(image))
    x = layers.Lambda(lambda x: tf.maximum(x, 0.0))(conv(x))
    x = layers.Lambda(tf.nn.relu6)(x)
    return finished(image, x)


@network
def relu_bounded():
    image = started()
    x = layers.Rescaling(1 / 255)(image)
    x = layers.ReLU(6)(conv(x))
    x = layers.Activation("relu6")(conv(x))
    x = ops.relu6(conv(x))
    x = layers.ReLU(max_value=0.8)(conv(x))
    x = ops.clip(conv(x), 0, 1.3)
    x = ops.clip(conv(x), -0.7, 0.7)
    return finished(image, x, tail_unit=255)


@network
def relu_of_a_tensor_with_other_readers():
    image = started()
    before = conv(image)
    x = conv(layers.ReLU()(before))
    x = layers.ReLU()(layers.Add()([before, x]))
    return finished(image, layers.Concatenate()([before, x]))


@network
def leaky_relu():
    image = started()
    x = layers.LeakyReLU()(conv(image))
    x = layers.LeakyReLU(negative_slope=0.1)(conv(x))
    x = conv(x, activation="leaky_relu")
    x = ops.leaky_relu(conv(x), negative_slope=0.05)
    x = layers.ReLU(negative_slope=0.25)(conv(x))
    x = layers.Lambda(lambda x: tf.nn.leaky_relu(x, 0.15))(conv(x))
    return finished(image, x)


@network
def prelu():
    image = started()
    x = layers.PReLU(shared_axes=[1, 2])(conv(image))
    x = layers.PReLU(shared_axes=[1, 2])(conv(x))
    return finished(image, x)


@network
def prelu_in_a_convolution():
    image = started()
    x = conv(image, activation=layers.PReLU(shared_axes=[1, 2]))
    return finished(image, conv(x, activation=layers.ReLU()))


@network
def tanh_and_sigmoid():
    image = started()
    x = layers.Rescaling(1 / 255)(image)
    x = conv(x, activation="tanh")
    x = layers.Activation("sigmoid")(conv(x))
    x = ops.tanh(conv(x))
    x = ops.sigmoid(conv(x))
    x = layers.Lambda(tf.tanh)(conv(x))
    return finished(image, x, tail_unit=255)


@network
def sigmoid_at_the_end():
    """ESPCN of the literature."""
    image = started(1)
    x = layers.Rescaling(1 / 255)(image)
    x = conv(x, activation="tanh")
    x = ops.nn.depth_to_space(conv(x, 9, name="tail"), 3)
    return model(image, layers.Rescaling(255)(ops.sigmoid(x)), tail_unit=2)


@network
def swish():
    image = started()
    x = layers.Rescaling(1 / 255)(image)
    x = conv(x, activation="silu")
    x = layers.Activation("swish")(conv(x))
    x = ops.silu(conv(x))
    x = conv(x)
    return finished(image, ops.multiply(x, ops.sigmoid(x)), tail_unit=255)


@network
def hard_functions():
    image = started()
    x = layers.Rescaling(1 / 255)(image)
    x = conv(x, activation="hard_sigmoid")
    x = ops.hard_sigmoid(conv(x))
    x = layers.Activation("hard_swish")(conv(x))
    x = ops.hard_swish(conv(x))
    x = conv(x, activation="hard_tanh")
    return finished(image, x, tail_unit=255)


# Batch normalization.


@network
def normalized():
    """Behind a convolution, with and without its options."""
    image = started()
    x = layers.ReLU()(layers.BatchNormalization()(conv(image, use_bias=False)))
    x = layers.BatchNormalization(scale=False)(conv(x))
    x = layers.LeakyReLU(0.1)(layers.BatchNormalization(center=False)(conv(x)))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6)(layers.BatchNormalization()(x))
    return finished(image, x)


@network
def normalized_elsewhere():
    """In front of a convolution, behind a ReLU, an addition, and the enlargement."""
    image = started()
    x = layers.BatchNormalization()(layers.ReLU()(conv(image)))
    first = conv(x, activation="relu")
    x = layers.Add()([first, conv(first)])
    x = conv(layers.BatchNormalization()(x))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return finished(image, x)


@network
def normalized_image():
    image = started()
    x = conv(layers.BatchNormalization()(image), activation="relu")
    return finished(image, x)


@network
def normalized_behind_the_enlargement():
    image = started()
    x = conv(image, activation="relu")
    x = layers.BatchNormalization()(ops.nn.depth_to_space(conv(x, 12), 2))
    return model(image, conv(x, 3, name="tail"))


@network
def normalized_transpose():
    image = started()
    x = layers.Conv2DTranspose(6, 4, strides=2, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return model(image, conv(x, 3, name="tail"))


# Sums, products, concatenations.


@network
def sums():
    image = started()
    first = conv(image, activation="relu")
    x = layers.Add()([first, conv(first), conv(first, activation="relu")])
    x = x + conv(x)
    x = ops.add(x, first)
    x = layers.ReLU()(layers.Add()([x, conv(x)]))
    x = layers.Add()([x, x])
    return finished(image, x)


@network
def differences():
    image = started()
    first = conv(image, activation="relu")
    x = layers.Subtract()([conv(first), first])
    x = x - conv(x)
    x = 3.0 - x
    x = conv(ops.subtract(x, 2.5) + 1.25)
    return finished(image, -x)


@network
def constants():
    """Factors and offsets of tensors, as layers and as operators."""
    image = started()
    first = conv(image, activation="relu")
    x = conv(first) * 0.1
    x = x + first
    x = layers.Rescaling(0.5, offset=1.5)(x)
    x = conv(x / 2.0)
    x = ops.multiply(x, np.float32([0.5, 1, 2, -1, 1.5, 0.25]))
    x = layers.Lambda(lambda x: 0.2 * x + 3)(layers.ReLU()(x))
    return finished(image, x)


@network
def anchor():
    """The image itself, repeated and added: ABPN."""
    image = started()
    x = conv(conv(image, activation="relu"), 12, name="tail")
    copies = layers.Concatenate()([image] * 4)
    return model(image, ops.clip(ops.nn.depth_to_space(layers.Add()([x, copies]), 2), 0, 255),
                 tail_unit=2)  # fmt: skip


@network
def anchor_tiled():
    image = started()
    x = conv(conv(image, activation="relu"), 12, name="tail")
    x = x + ops.tile(image, (1, 1, 1, 4))
    return model(image, layers.ReLU(max_value=255)(ops.nn.depth_to_space(x, 2)), tail_unit=2)


@network
def anchor_repeated_channels():
    """ops.repeat copies each channel in turn."""
    image = started()
    x = conv(conv(image, activation="relu"), 12, name="tail")
    x = x + ops.repeat(image, 4, axis=-1)
    return model(image, Shuffled("torch")(x), tail_unit=2)


@network
def anchor_nearest():
    image = started()
    x = ops.nn.depth_to_space(conv(conv(image, activation="relu"), 12, name="tail"), 2)
    return model(image, layers.Add()([x, layers.UpSampling2D(2)(image)]), tail_unit=2)


@network
def attention_of_pixels():
    """A gate for each pixel (N, H, W, 1), and one for each value."""
    image = started()
    x = conv(image, activation="relu")
    x = layers.Multiply()([x, conv(x, 1, activation="sigmoid")])
    x = x * conv(x, activation="tanh")
    return finished(image, x)


@network
def squared():
    image = started()
    x = layers.Rescaling(1 / 255)(image)
    x = conv(x)
    return finished(image, x * x, tail_unit=255)


@network
def concatenations():
    image = started()
    first = conv(image, 4, activation="relu")
    second = conv(first, 4)
    x = ops.concatenate([first, second], axis=-1)
    third = conv(x, 4, activation="relu")
    x = layers.Concatenate()([first, image, third, layers.Add()([first, third])])
    return finished(image, x)


@network
def repeated_features():
    image = started()
    x = conv(image, 4, activation="relu")
    x = conv(layers.Concatenate()([x, x, x]), activation="relu")
    x = ops.tile(x, [1, 1, 1, 2])
    return finished(image, x)


@network
def sliced_channels():
    """Distillation of features: a part goes on, the rest is kept."""
    image = started()
    x = conv(image, 8, activation="relu")
    kept, x = x[..., :3], x[..., 3:]
    x = conv(x, 8, activation="relu")
    also, x = x[..., 2:5], x[:, :, :, ::2]
    x = layers.Concatenate()([kept, conv(x), also])
    return finished(image, x)


@network
def split_channels():
    image = started()
    x = conv(image, 8, activation="relu")
    first, second = ops.split(x, 2, axis=-1)
    third, fourth = layers.Lambda(lambda x: tf.split(x, 2, axis=-1))(conv(second, 6))
    return finished(image, layers.Concatenate()([conv(first), third, fourth]))


# The two ends.


@network
def rescaled_ends():
    image = started()
    x = layers.Rescaling(1 / 255)(image)
    x = conv(x, activation="relu")
    x = ops.nn.depth_to_space(conv(x, 12, name="tail"), 2)
    return model(image, ops.clip(layers.Rescaling(255.0)(x), 0, 255), tail_unit=1)


@network
def centred_ends():
    """[-1, 1] inside."""
    image = started()
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = conv(x, activation="relu")
    x = ops.nn.depth_to_space(conv(x, 12, name="tail"), 2)
    return model(image, (x + 1) * 127.5, tail_unit=2)


@network
def normalized_ends():
    """Mean and deviation of each channel."""
    image = started()
    mean, variance = [114.0, 111.0, 103.0], [70.0**2, 68.0**2, 72.0**2]
    x = layers.Normalization(mean=mean, variance=variance)(image)
    x = conv(x, activation="relu")
    x = ops.nn.depth_to_space(conv(x, 12, name="tail"), 2)
    x = layers.Normalization(mean=mean, variance=variance, invert=True)(x)
    return model(image, layers.ReLU(max_value=255)(x), tail_unit=2)


@network
def mean_at_the_ends():
    image = started()
    mean = np.float32([114, 111, 103])
    x = conv(image - mean, activation="relu")
    x = ops.nn.depth_to_space(conv(x, 12, name="tail"), 2)
    return model(image, x + mean, tail_unit=200)


@network
def range_of_one():
    """Images in [0, 1], of one channel: give image_range=1."""
    image = started(1)
    x = conv(image, activation="relu")
    x = ops.nn.depth_to_space(conv(x, 4, name="tail"), 2)
    return model(image, ops.clip(x, 0, 1), white=1.0)


@network
def range_of_one_in_colour():
    image = started()
    x = conv(image, activation="tanh")
    x = ops.nn.depth_to_space(conv(x, 12, name="tail"), 2)
    return model(image, x, white=1.0)


# Arrangements.


class Shuffled(layers.Layer):
    """Depth-to-space by reshape, transpose, reshape, in TensorFlow's or PyTorch's order."""

    def __init__(self, order, scale=2, **kwargs):
        super().__init__(**kwargs)
        self.order, self.scale = order, scale

    def call(self, x):
        shape, s = tf.shape(x), self.scale
        n, h, w, c = shape[0], shape[1], shape[2], x.shape[-1] // s**2
        if self.order == "torch":
            x = tf.transpose(tf.reshape(x, (n, h, w, c, s, s)), (0, 1, 4, 2, 5, 3))
        else:
            x = tf.transpose(tf.reshape(x, (n, h, w, s, s, c)), (0, 1, 3, 2, 4, 5))
        return tf.reshape(x, (n, h * s, w * s, c))

    def compute_output_shape(self, shape):
        n, h, w, c = shape
        s = self.scale
        return (n, h and h * s, w and w * s, c // s**2)


def _shuffled_by(enlarge, scale=2):
    image = started()
    x = conv(conv(image, activation="relu"), 3 * scale**2, name="tail")
    return model(image, enlarge(x))


@network
def shuffle_lambda():
    return _shuffled_by(layers.Lambda(lambda x: tf.nn.depth_to_space(x, 2)))


@network
def shuffle_layer():
    return _shuffled_by(Shuffled("tensorflow", 3), 3)


@network
def shuffle_torch():
    return _shuffled_by(Shuffled("torch", 4), 4)


@network
def shuffle_reshaped():
    """With keras.ops on a tensor of open size."""

    def enlarge(x):
        _, h, w, _ = ops.shape(x)
        x = ops.reshape(x, (-1, h, w, 2, 2, 3))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, h * 2, w * 2, 3))

    return _shuffled_by(layers.Lambda(enlarge, output_shape=(None, None, 3)))


@network
def shuffle_twice():
    image = started()
    x = ops.nn.depth_to_space(conv(image, 16, activation="relu"), 2)
    x = ops.nn.depth_to_space(conv(x, 16, activation="relu"), 2)
    return model(image, conv(x, 3, name="tail"))


@network
def space_to_depth():
    """Computes on a quarter of the pixels."""
    image = started()
    x = layers.Lambda(lambda x: tf.nn.space_to_depth(x, 2), output_shape=(None, None, 12))(image)
    x = conv(x, 8, activation="relu")
    return finished(image, x, 4)


@network
def padded_and_cropped():
    image = started()
    x = conv(layers.ZeroPadding2D(2)(image), activation="relu")
    x = layers.Cropping2D(1)(x)
    x = layers.Lambda(lambda x: tf.pad(x, [[0, 0], [1, 0], [0, 1], [0, 0]]))(x)
    x = layers.Cropping2D(((0, 3), (2, 1)))(conv(x, activation="relu"))
    return finished(image, x)


# Models in models, and layers that are called again.


@network
def nested():
    block = keras.Sequential(
        [keras.Input((None, None, 6)), layers.Conv2D(6, 3, padding="same"), layers.ReLU()],
        name="block",
    )
    inner_image = keras.Input((None, None, 6))
    y = block(inner_image)
    inner = keras.Model(inner_image, layers.Add()([y, inner_image]), name="inner")
    image = started()
    x = inner(conv(image, activation="relu"))
    return finished(image, block(x))


@network
def sequential():
    return keras.Sequential(
        [
            started(),
            layers.Rescaling(1.0),
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.Dropout(0.1),
            layers.Conv2D(12, 3, padding="same", name="tail"),
            layers.Lambda(lambda x: tf.nn.depth_to_space(x, 2)),
        ],
        name="mine",
    )


@network
def shared_layers():
    image = started()
    again = layers.Conv2D(6, 3, padding="same")
    slopes = layers.PReLU(shared_axes=[1, 2])
    x = slopes(conv(image))
    x = slopes(again(x))
    x = layers.ReLU()(again(x))
    return finished(image, again(x))


@network
def shared_separable():
    image = started()
    again = layers.SeparableConv2D(6, 3, padding="same", activation="relu")
    enlarge = layers.Conv2DTranspose(6, 4, strides=2, padding="same")
    x = again(again(conv(image)))
    return model(image, conv(enlarge(enlarge(x)), 3, name="tail"))


@network
def unused_layers():
    """Noise and dropout do nothing at inference; a layer nobody reads is not there."""
    image = started()
    x = layers.GaussianNoise(1.0)(conv(image, activation="relu"))
    x = layers.SpatialDropout2D(0.2)(x)
    conv(x)
    return finished(image, layers.Identity()(x))
