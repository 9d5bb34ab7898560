"""Results of the operators of a user's network that are not in EDSR or RDN, on codes."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from pams_tf.models.results import Coded, Result
from pams_tf.quantization import QuantPReLU
from pams_tf.quantization.arriving import Arriving
from pams_tf.quantization.base import Quantizer
from pams_tf.quantization.functional import builtin, xnnpack
from pams_tf.quantization.functional.codes import Arithmetic, as_values
from pams_tf.quantization.held import Held, ProductUnit, Unit

TABLES = {"tanh": tf.tanh, "sigmoid": tf.sigmoid}


class Applied(Result):
    """A function of a tensor of codes, in its unit.

    Args:
      kind: "tanh", "sigmoid", "leaky_relu" or "prelu".
      source: its input; in unit 1 for tanh and sigmoid.
      slope: of leaky_relu, below 0.
      layer: of prelu, which has the slopes.
    """

    def __init__(
        self, kind: str, source: Coded, *, slope: float = 0.0, layer: QuantPReLU | None = None
    ) -> None:
        self.kind = kind
        self.source = source
        self.slope = slope
        self.layer = layer
        self.channels = source.channels

    def held_by(self, quantizer: Quantizer, clips: bool, unit: Unit | None) -> Held:
        return Held(quantizer, self.source.held.unit, clips=clips)

    def at(self, held: Held | None) -> tuple[list[Any], Arriving]:
        tensors = [self.source.codes]
        if self.layer is not None:
            tensors.append(self.layer(self.source.codes, slopes_only=True))
        return tensors, _AppliedAt(self, held)


class _AppliedAt:
    def __init__(self, result: Applied, held: Held | None) -> None:
        self.channels = result.channels
        self.nonnegative = result.kind == "sigmoid"
        self._result = result
        self._source = result.source.held
        self._held = held

    def arithmetic(self, training: bool) -> Arithmetic:
        assert self._held is not None
        scales = self._source.file_scale(), self._held.file_scale()
        kind = self._result.kind
        if kind in TABLES:
            _, qmin, qmax = self._source.quantizer.steps()
            return xnnpack.table(TABLES[kind], *scales, qmin, qmax)
        if kind == "leaky_relu":
            return xnnpack.leaky_relu(self._result.slope, *scales)
        assert self._result.layer is not None
        value = tf.cast(self._source.scale(), tf.float32)
        return builtin.prelu(self._result.layer.step(), *scales, value)

    def ratio(self) -> Any:
        if self._result.kind in TABLES:
            return 0.0
        assert self._held is not None
        return self._source.file_scale() / self._held.file_scale()

    def values(self, tensors: Sequence[Any], training: bool) -> Any:
        scale = tf.cast(self._source.scale(), tf.float32)
        x = as_values(tensors[0], values=lambda codes: codes * scale)
        kind = self._result.kind
        if kind in TABLES:
            return TABLES[kind](x)
        slope = tensors[1] if kind == "prelu" else self._result.slope
        return tf.where(x < 0, slope * x, x)


class Multiplied(Result):
    """The product of two tensors of codes; a file has it in the product of their units."""

    def __init__(self, first: Coded, second: Coded) -> None:
        self.factors = first, second
        self.channels = max(first.channels, second.channels)

    def held_by(self, quantizer: Quantizer, clips: bool, unit: Unit | None) -> Held:
        return Held(quantizer, ProductUnit(*(x.held.unit for x in self.factors)), clips=clips)

    def at(self, held: Held | None) -> tuple[list[Any], Arriving]:
        return [x.codes for x in self.factors], _MultipliedAt(self, held)


class _MultipliedAt:
    nonnegative = False

    def __init__(self, result: Multiplied, held: Held | None) -> None:
        self.channels = result.channels
        self._factors = [x.held for x in result.factors]
        self._held = held

    def arithmetic(self, training: bool) -> Arithmetic:
        assert self._held is not None
        first, second = self._factors
        values = tf.cast(first.scale(), tf.float32), tf.cast(second.scale(), tf.float32)
        result = self._held.file_scale()
        return xnnpack.product(first.file_scale(), second.file_scale(), result, values)

    def ratio(self) -> Any:
        assert self._held is not None
        first, second = (x.file_scale() for x in self._factors)
        return first * second / self._held.file_scale()

    def values(self, tensors: Sequence[Any], training: bool) -> Any:
        first, second = (
            as_values(x, values=lambda codes, held=held: codes * tf.cast(held.scale(), tf.float32))
            for x, held in zip(tensors, self._factors, strict=True)
        )
        return first * second
