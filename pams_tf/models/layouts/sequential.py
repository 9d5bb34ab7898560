"""Chains in `nn.Sequential` and `nn.ModuleList`: the convolutions by the numbers in their names."""

import re
from collections.abc import Iterator

from pams_tf.models.layouts.chain import Chain, Convolution
from pams_tf.models.layouts.layout import Fit, Layout, Mismatch, Tensors, listed, shape

NUMBERED = r"\d{1,4}(\.\d{1,4})*\.(weight|bias)"


def convolutions(tensors: Tensors, prefix: str, activation: str) -> tuple[Convolution, ...]:
    """The convolutions in PREFIX.0, PREFIX.1, ...; the numbers may be nested.

    A vector without a bias is the slopes of a PReLU. Other activations have no weights; they show
    as a number that is left out, and are taken to be `activation`. The last convolution has none.

    Raises:
      Mismatch: there is none, or a module is neither a convolution nor a PReLU.
    """
    start = f"{prefix}." if prefix else ""
    modules = {name.rpartition(".")[0] for name in tensors if name.startswith(start)}
    order = sorted(modules, key=lambda module: _position(module.removeprefix(start)))
    found: list[Convolution] = []
    for place, module in enumerate(order):
        size = shape(tensors, f"{module}.weight")
        if len(size) == 4:
            unseen = place + 1 < len(order) and not _adjacent(module, order[place + 1])
            found.append(Convolution(module, activation if unseen else "linear"))
        elif len(size) == 1 and f"{module}.bias" not in tensors and found and not found[-1].slopes:
            found[-1] = Convolution(found[-1].name, slopes=module)
        else:
            raise Mismatch(f"{module}.weight {list(size)} is no kernel and no slopes of a PReLU")
    if not found:
        raise Mismatch(f"{start}0.weight is missing")
    return tuple(found)


def _position(numbers: str) -> tuple[int, ...]:
    return tuple(map(int, numbers.split(".")))


def _adjacent(module: str, following: str) -> bool:
    """Whether nothing can lie between two modules: siblings with consecutive numbers."""
    parent, _, number = module.rpartition(".")
    other_parent, _, other_number = following.rpartition(".")
    return parent == other_parent and int(other_number) == int(number) + 1


def _any_sequential(layout: str, base: str) -> Layout:
    def read(tensors: Tensors) -> Iterator[Fit]:
        prefixes = {re.split(r"(?:^|\.)\d", name, maxsplit=1)[0] for name in tensors}
        if len(prefixes) != 1:
            raise Mismatch(f"it has one list of modules, not {listed(sorted(prefixes), 4)}")
        chain = convolutions(tensors, prefixes.pop(), "relu")
        kinds = {"prelu" if found.slopes else found.activation for found in chain}
        if kinds >= {"prelu", "relu"}:
            raise Mismatch("only some of its activations have slopes")
        title = "chain of convolutions"
        yield Chain(layout, title, chain, base=base).fit(tensors)

    return Layout(layout, re.compile(rf"([A-Za-z_]\w*\.)*{NUMBERED}"), read)


GENERAL = (_any_sequential("chain", ""), _any_sequential("chain_anchor", "repeated"))
"""For weights of no family: ReLU wherever an activation has no weights."""
