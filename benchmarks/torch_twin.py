"""PAMS in PyTorch, written from the paper: EDSR with quantizers in the body, and a training step.

It shares no code with `pams_tf`, only the weights and ranges that `twins` copies, so that time and
losses of a step can be compared. Tensors are NCHW, images in [0, 255].

Source: Li et al., ECCV 2020, Eq. 1 to 3, 6 and 7.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name

ALPHA_RATE, WEIGHT_RATE, SKT_WEIGHT = 1e-2, 1e-4, 1000.0


class _Pams(torch.autograd.Function):
    """s * round(clip(x, -alpha, alpha) / s) with s = alpha / qmax, and the gradients of Eq. 3."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, qmax: int) -> Tensor:
        ctx.save_for_backward(x, alpha)
        scale = alpha / qmax
        return torch.clamp(x, -alpha, alpha).div_(scale).round_().mul_(scale)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        x, alpha = ctx.saved_tensors
        above, below = x >= alpha, x <= -alpha
        to_alpha = (upstream * above).sum() - (upstream * below).sum()
        return upstream.masked_fill(above | below, 0.0), to_alpha.reshape(alpha.shape), None


class _Rounded(torch.autograd.Function):
    """s * round(w / s) with s = max|w| / qmax; the gradient passes straight through."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, qmax: int) -> Tensor:
        scale = w.abs().max() / qmax
        return (w / scale).round_().mul_(scale)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        return upstream, None


class Quantizer(nn.Module):
    """A learned range: one alpha for a tensor."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.qmax = 2 ** (bits - 1) - 1
        self.alpha = nn.Parameter(torch.tensor(10.0))

    def forward(self, x: Tensor) -> Tensor:
        return _Pams.apply(x, self.alpha, self.qmax)


class QuantConv2d(nn.Conv2d):
    """A 3x3 convolution with quantized weights."""

    def __init__(self, channels: int, bits: int) -> None:
        super().__init__(channels, channels, 3, padding=1)
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, _Rounded.apply(self.weight, self.qmax), self.bias, padding=1)


class Block(nn.Module):
    """x + conv(relu(conv(x))); with bits, each tensor is quantized, and x before both readers."""

    def __init__(self, features: int, bits: int | None) -> None:
        super().__init__()
        if bits is None:
            self.conv_0, self.conv_1 = (nn.Conv2d(features, features, 3, padding=1) for _ in "01")
            self.input, self.relu, self.residual = nn.Identity(), nn.Identity(), nn.Identity()
        else:
            self.conv_0, self.conv_1 = (QuantConv2d(features, bits) for _ in "01")
            self.input, self.relu, self.residual = (Quantizer(bits) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.input(x)
        y = self.relu(F.relu(self.conv_0(x)))
        return x + self.residual(self.conv_1(y))


class EDSR(nn.Module):
    """Image (N, 3, H, W) -> (image (N, 3, s*H, s*W), feature); without an image if not `enlarge`.

    Args:
      scale: 2 or 4.
      bits: of the body, or None for the float network.
    """

    def __init__(self, blocks: int, features: int, scale: int, bits: int | None = None) -> None:
        super().__init__()
        mean = 255 * torch.tensor([0.4488, 0.4371, 0.4040]).reshape(3, 1, 1)
        self.register_buffer("mean", mean)
        self.head = nn.Conv2d(3, features, 3, padding=1)
        self.blocks = nn.ModuleList(Block(features, bits) for _ in range(blocks))
        self.body = nn.Conv2d(features, features, 3, padding=1)
        self.upsample = nn.ModuleList(
            nn.Conv2d(features, 4 * features, 3, padding=1) for _ in range(int(math.log2(scale)))
        )
        self.tail = nn.Conv2d(features, 3, 3, padding=1)

    def forward(self, x: Tensor, enlarge: bool = True) -> tuple[Tensor | None, Tensor]:
        x = head = self.head(x - self.mean)
        for block in self.blocks:
            x = block(x)
        x = feature = self.body(x) + head
        if not enlarge:
            return None, feature
        for conv in self.upsample:
            x = F.pixel_shuffle(conv(x), 2)
        return self.tail(x) + self.mean, feature


class Step:
    """A training step of `student`, which `teacher` guides.

    Args:
      bfloat16: run the networks under autocast to bfloat16.
    """

    def __init__(self, student: EDSR, teacher: EDSR, *, bfloat16: bool = False) -> None:
        self.student, self.teacher = student, teacher.requires_grad_(False)
        self.bfloat16 = bfloat16
        alphas = [p for name, p in student.named_parameters() if name.endswith("alpha")]
        weights = [p for name, p in student.named_parameters() if not name.endswith("alpha")]
        self.optimizers = [
            torch.optim.Adam(group, rate, eps=1e-8)
            for group, rate in ((weights, WEIGHT_RATE), (alphas, ALPHA_RATE))
            if group
        ]

    def __call__(self, lr: Tensor, hr: Tensor) -> dict[str, float]:
        """The losses of a batch (N, 3, h, w), (N, 3, s*h, s*w) before the step."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            sr, feature = self.student(lr)
            with torch.no_grad():
                _, taught = self.teacher(lr, enlarge=False)
        l1 = F.l1_loss(sr.float(), hr)
        skt = (energy_map(feature.float()) - energy_map(taught.float())).square().mean()
        loss = l1 + SKT_WEIGHT * skt
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return {"loss": loss.item(), "l1": l1.item(), "skt": skt.item()}


def energy_map(feature: Tensor) -> Tensor:
    """The sum over channels of F^2, each sample's map divided by its norm: (N, H * W)."""
    return F.normalize(feature.square().sum(1).flatten(1))


def twins(student: Any, teacher: Any) -> tuple[EDSR, EDSR]:
    """PyTorch copies of an EDSR student of scope "body" or without a recipe, and of its teacher."""
    return _copy(student), _copy(teacher)


def _copy(network: Any) -> EDSR:
    layers = {layer.name: layer for layer in network.layers}
    blocks = sum(name.endswith("_conv_0") for name in layers)
    bits = None if network.recipe is None else network.recipe.bits
    copy = EDSR(blocks, layers["head"].filters, network.scale, bits)
    copy.load_state_dict({"mean": copy.mean, **dict(_arrays(layers))})
    return copy


def _arrays(layers: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Our variables by the names that they have here."""
    for name, layer in layers.items():
        stem = name
        if name.startswith("block_"):
            _, index, stem = name.split("_", 2)
            stem = f"blocks.{index}.{stem}"
        elif name.startswith("upsample_"):
            stem = name.replace("_", ".")
        if hasattr(layer, "kernel"):
            kernel, bias = np.asarray(layer.kernel), np.asarray(layer.bias)
            if name.startswith("upsample_"):
                # pixel_shuffle reads channel c*4 + k where depth_to_space reads k*C + c.
                order = np.arange(len(bias)).reshape(4, -1).T.ravel()
                kernel, bias = kernel[..., order], bias[order]
            yield f"{stem}.weight", torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
            yield f"{stem}.bias", torch.tensor(bias)
        elif hasattr(layer, "alpha"):
            yield f"{stem}.alpha", torch.tensor(float(layer.alpha.value))
