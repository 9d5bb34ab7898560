"""The networks of the layouts as their PyTorch code computes them, in NumPy: weights and forward.

Each function takes a random generator and returns the state_dict, and a function from images NCHW
in [0, 1] to images NCHW.
"""

import numpy as np


def convolution(x, kernel, bias=None, padding=None):
    """F.conv2d with stride 1; zero padding of half the kernel, unless `padding` says how much."""
    size = kernel.shape[2]
    padding = size // 2 if padding is None else padding
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    height, width = (length - size + 1 for length in x.shape[2:])
    y = sum(
        np.einsum("nihw,oi->nohw", x[:, :, i : i + height, j : j + width], kernel[:, :, i, j])
        for i in range(size)
        for j in range(size)
    )
    return y if bias is None else y + bias[:, None, None]


def transposed(x, kernel, bias, stride):
    """F.conv_transpose2d with padding k//2 and output_padding stride-1; the kernel is IOHW."""
    n, _, height, width = x.shape
    size = kernel.shape[2]
    rows, columns = ((length - 1) * stride + size for length in (height, width))
    y = np.zeros((n, kernel.shape[1], rows + stride, columns + stride))
    for i in range(size):
        for j in range(size):
            spread = np.einsum("nihw,io->nohw", x, kernel[:, :, i, j])
            y[:, :, i : i + stride * height : stride, j : j + stride * width : stride] += spread
    start = size // 2
    y = y[:, :, start : start + stride * height, start : start + stride * width]
    return y + bias[:, None, None]


def pixel_shuffle(x, scale):
    n, channels, height, width = x.shape
    x = x.reshape(n, channels // scale**2, scale, scale, height, width)
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(n, -1, height * scale, width * scale)


def relu(x):
    return np.maximum(x, 0)


def prelu(x, slopes):
    return np.where(x > 0, x, slopes[:, None, None] * x)


class State(dict):
    """A state_dict that is filled by layer."""

    def __init__(self, rng):
        super().__init__()
        self._rng = rng

    def kernel(self, name, outputs, inputs, size=3, bias=True, swap=False):
        deviation = np.sqrt(2 / (inputs * size**2))
        shape = (inputs, outputs) if swap else (outputs, inputs)
        self[f"{name}.weight"] = self._float(self._rng.normal(0, deviation, (*shape, size, size)))
        if bias:
            self[f"{name}.bias"] = self._float(self._rng.normal(0, 0.1, outputs))

    def array(self, name, *shape, low=-0.5, high=0.5):
        self[name] = self._float(self._rng.uniform(low, high, shape))

    def slopes(self, name, count):
        self.array(f"{name}.weight", count, low=-0.2, high=0.6)

    def apply(self, x, name):
        return convolution(x, self[f"{name}.weight"], self.get(f"{name}.bias"))

    def _float(self, values):
        return values.astype(np.float32)


def compact(rng, scale, activation="prelu", colours=3, slopes=6):
    state = State(rng)
    widths = [colours, 6, 6, 6, colours * scale**2]
    for i in range(4):
        state.kernel(f"body.{2 * i}", widths[i + 1], widths[i])
        if activation == "prelu" and i < 3:
            state.slopes(f"body.{2 * i + 1}", slopes)

    def forward(image):
        x = image
        for i in range(4):
            x = state.apply(x, f"body.{2 * i}")
            if i < 3:
                if activation == "prelu":
                    x = prelu(x, np.broadcast_to(state[f"body.{2 * i + 1}.weight"], 6))
                else:
                    x = relu(x) if activation == "relu" else np.where(x > 0, x, 0.1 * x)
        nearest = image.repeat(scale, 2).repeat(scale, 3)
        return pixel_shuffle(x, scale) + nearest

    return state, forward


def espcn(rng, scale, names, colours=1, activation=np.tanh, sigmoid=False, bias=True):
    state = State(rng)
    widths = [colours, *[8, 6, 5][: len(names) - 1], colours * scale**2]
    for i, name in enumerate(names):
        state.kernel(name, widths[i + 1], widths[i], 5 if i == 0 else 3, bias)

    def forward(x):
        for name in names[:-1]:
            x = activation(state.apply(x, name))
        x = pixel_shuffle(state.apply(x, names[-1]), scale)
        return 1 / (1 + np.exp(-x)) if sigmoid else x

    return state, forward


def fsrcnn(rng, scale, modules, last, colours=1):
    """`modules`: the names of convolution and PReLU of each layer: 5x5, 1x1, 3x3, 3x3, 1x1."""
    state = State(rng)
    widths = [colours, 8, 4, 4, 4, 8]
    for i, (name, slopes) in enumerate(modules):
        state.kernel(name, widths[i + 1], widths[i], (5, 1, 3, 3, 1)[i])
        state.slopes(slopes, widths[i + 1])
    state.kernel(last, colours, 8, 9, swap=True)

    def forward(x):
        for name, slopes in modules:
            x = prelu(state.apply(x, name), state[f"{slopes}.weight"])
        return transposed(x, state[f"{last}.weight"], state[f"{last}.bias"], scale)

    return state, forward


def chain(rng, scale, names, anchored, colours=3, slopes=None, sizes=None, end_relu=False, spare=0):
    """Convolutions with ReLU, or PReLU where `slopes` names one; ABPN, ECBSR, ETDS and plain ones.

    `spare` channels of the last convolution are cut off.
    """
    state = State(rng)
    outputs = colours * scale**2 + spare
    widths = [colours, *[6] * (len(names) - 2 - end_relu), *[outputs] * (1 + end_relu)]
    widths = (
        widths if len(widths) == len(names) + 1 else [colours, *[6] * (len(names) - 1), outputs]
    )
    for i, name in enumerate(names):
        state.kernel(name, widths[i + 1], widths[i], sizes[i] if sizes else 3)
        if slopes and slopes[i]:
            state.slopes(slopes[i], widths[i + 1])

    def forward(image):
        x = image
        for i, name in enumerate(names):
            x = state.apply(x, name)
            if slopes and slopes[i]:
                x = prelu(x, state[f"{slopes[i]}.weight"])
            elif i < len(names) - 1 or end_relu:
                x = relu(x)
        x = x[:, : colours * scale**2]
        return pixel_shuffle(x + np.repeat(image, scale**2, axis=1) if anchored else x, scale)

    return state, forward


def ecbsr_branches(rng, scale, identity=False, colours=3):
    """BasicSR's ECBSR as it is trained: five branches in each block, padded with their biases."""
    state = State(rng)
    widths = [colours, 6, 6, colours * scale**2]
    masks = {
        "sbx": [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
        "sby": [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
        "lpl": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    }
    for i in range(3):
        block, inputs, outputs = f"backbone.{i}", widths[i], widths[i + 1]
        state.kernel(f"{block}.conv3x3", outputs, inputs)
        state.array(f"{block}.conv1x1_3x3.k0", 2 * outputs, inputs, 1, 1)
        state.array(f"{block}.conv1x1_3x3.b0", 2 * outputs)
        state.array(f"{block}.conv1x1_3x3.k1", outputs, 2 * outputs, 3, 3, low=-0.1, high=0.1)
        state.array(f"{block}.conv1x1_3x3.b1", outputs)
        for edge, mask in masks.items():
            state.array(f"{block}.conv1x1_{edge}.k0", outputs, inputs, 1, 1)
            state.array(f"{block}.conv1x1_{edge}.b0", outputs)
            state.array(f"{block}.conv1x1_{edge}.scale", outputs, 1, 1, 1, low=-0.1, high=0.1)
            state.array(f"{block}.conv1x1_{edge}.bias", outputs)
            state[f"{block}.conv1x1_{edge}.mask"] = np.tile(np.float32(mask), (outputs, 1, 1, 1))
        if i < 2:
            state.slopes(f"{block}.act", outputs)

    def padded(x, branch):
        y = convolution(x, state[f"{branch}.k0"], state[f"{branch}.b0"])
        border = np.broadcast_to(
            state[f"{branch}.b0"][:, None, None], (*y.shape[:2], y.shape[2] + 2, y.shape[3] + 2)
        ).copy()
        border[:, :, 1:-1, 1:-1] = y
        return border

    def forward(image):
        x = image
        for i in range(3):
            block = f"backbone.{i}"
            y = state.apply(x, f"{block}.conv3x3")
            branch = f"{block}.conv1x1_3x3"
            y = y + convolution(
                padded(x, branch), state[f"{branch}.k1"], state[f"{branch}.b1"], padding=0
            )
            for edge in masks:
                branch = f"{block}.conv1x1_{edge}"
                filters = state[f"{branch}.scale"] * state[f"{branch}.mask"]
                middle = padded(x, branch)
                for c in range(y.shape[1]):
                    y[:, c : c + 1] += convolution(
                        middle[:, c : c + 1],
                        filters[c : c + 1],
                        state[f"{branch}.bias"][c : c + 1],
                        padding=0,
                    )
            if identity and x.shape == y.shape:
                y = y + x
            x = prelu(y, state[f"{block}.act.weight"]) if i < 2 else y
        return pixel_shuffle(x + np.repeat(image, scale**2, axis=1), scale)

    return state, forward


def etds_branches(rng, scale):
    """ETDS as it is trained: features beside residual features, which are added to them."""
    state = State(rng)
    state.kernel("conv_first", 5, 3)
    state.kernel("conv_residual_first", 4, 3)
    for i in range(2):
        state.kernel(f"backbone_convs.{i}", 5, 5)
        state.kernel(f"residual_convs.{i}", 4, 4)
        state.kernel(f"add_residual_convs.{i}", 5, 4)
    state.kernel("conv_last", 3 * scale**2, 5)
    state.kernel("conv_residual_last", 3 * scale**2, 4)

    def forward(image):
        x, r = (
            relu(state.apply(image, "conv_first")),
            relu(state.apply(image, "conv_residual_first")),
        )
        for i in range(2):
            added = state.apply(r, f"add_residual_convs.{i}")
            x, r = (
                relu(state.apply(x, f"backbone_convs.{i}") + added),
                relu(state.apply(r, f"residual_convs.{i}")),
            )
        x, r = state.apply(x, "conv_last"), state.apply(r, "conv_residual_last")
        return pixel_shuffle(x, scale) + pixel_shuffle(r, scale)

    return state, forward
