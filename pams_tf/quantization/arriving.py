"""What a quantizer needs to know of the operator in front of it."""

from collections.abc import Sequence
from typing import Any, Protocol

from pams_tf.quantization.functional.codes import Arithmetic


class Readable(Protocol):
    """Tensors that mean float values.

    Attributes:
      channels: number of channels of the values.
    """

    channels: int

    def values(self, tensors: Sequence[Any], training: bool) -> Any:
        """The float values, (N, H, W, C)."""


class Arriving(Readable, Protocol):
    """The result of an operator on codes, which a quantizer brings to its own grid.

    Attributes:
      nonnegative: whether the operator ends with a ReLU.
    """

    nonnegative: bool

    def arithmetic(self, training: bool) -> Arithmetic:
        """How the operator's tensors become steps of the quantizer's grid."""

    def ratio(self) -> Any:
        """The largest factor from steps of an input to steps of the grid: a scalar."""
