"""The language in which a network is written: named sites, where a quantizer can stand.

A builder is a function that describes a network once, in calls of a `Sites` object. What the calls
make is decided by the object: `KerasSites` makes the float network and every student, the export's
`IntegerSites` makes the integer graph, and the proof cuts the network into its layers. Builders
treat the tensors they pass on as opaque.
"""

import abc
from collections.abc import Sequence
from typing import Any


class Sites(abc.ABC):
    """What a builder may call. Every site has a name of its own within the network.

    `body` says whether a site belongs to the body, the high-level feature extractor that the
    paper quantizes; with `body=False` it belongs to head or tail.
    """

    @abc.abstractmethod
    def convolution(
        self,
        x: Any,
        filters: int,
        kernel_size: int,
        name: str,
        *,
        body: bool = True,
        batch_norm: bool = False,
        gain: float = 1.0,
        shift: Sequence[float] | None = None,
        relu: bool = False,
        dtype: str | None = None,
    ) -> Any:
        """conv -> [batch normalization] -> [* gain] -> [+ shift] -> [ReLU], zero padding "same".

        One site, because an integer graph folds all of it into one convolution. `dtype` is a Keras
        dtype policy of its own for this convolution.
        """

    @abc.abstractmethod
    def activation(self, x: Any, name: str, *, body: bool = True, after_relu: bool = False) -> Any:
        """A tensor that an integer network must hold, quantized here if the recipe says so.

        `after_relu` says that nothing in it is negative, which some quantizers make use of.
        """

    @abc.abstractmethod
    def kept(self, x: Any, held: Any) -> Any:
        """The tensor `x` for a second reader further on, where `held` is `x` behind its site.

        An integer network no longer has `x`: it gives `held`. A network that is float there gives
        `x` itself.
        """

    @abc.abstractmethod
    def add(self, tensors: Sequence[Any], name: str) -> Any:
        """The sum of two tensors of one shape."""

    @abc.abstractmethod
    def concatenate(self, tensors: Sequence[Any], name: str) -> Any:
        """Tensors side by side along the channels."""

    @abc.abstractmethod
    def depth_to_space(self, x: Any, scale: int, name: str) -> Any:
        """(N, H, W, s*s*C) -> (N, s*H, s*W, C): values change places, none changes."""

    @abc.abstractmethod
    def shifted_image(self, x: Any, shift: Sequence[float], name: str) -> Any:
        """An image in [0, 255] with a constant added to each channel.

        Its range is known, so its quantizer has nothing to learn.
        """

    @abc.abstractmethod
    def image(self, x: Any) -> Any:
        """An image in [0, 255], which an integer network holds as bytes; float until then."""
