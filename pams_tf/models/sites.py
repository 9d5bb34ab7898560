"""The interface in which networks are defined: named sites, at which quantizers can be placed.

A builder is a function that describes a network once, through calls to a `Sites` object. The object
decides what the calls create: `KerasSites` creates the float network and every student, the
export's `IntegerSites` creates the integer graph, and the sites of verification cut the network
into its layers. Builders treat the tensors that they pass on as opaque.
"""

import abc
from collections.abc import Sequence
from typing import Any


class Sites(abc.ABC):
    """The calls available to a builder. Every site has a name that is unique within the network.

    `body` says whether a site belongs to the body, the high-level feature extractor that the
    paper quantizes; with `body=False` it belongs to the head or tail.
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

        This is one site because an integer graph folds all of it into one convolution. `dtype`
        overrides the Keras dtype policy for this convolution.
        """

    @abc.abstractmethod
    def activation(self, x: Any, name: str, *, body: bool = True, after_relu: bool = False) -> Any:
        """A tensor that an integer network must hold, quantized here if the recipe says so.

        `after_relu` says that it has no negative values, which some quantizers make use of.
        """

    @abc.abstractmethod
    def kept(self, x: Any, held: Any) -> Any:
        """The tensor `x` for a second reader later on, where `held` is `x` after its site.

        An integer network no longer has `x` and returns `held`. A network that is float there
        returns `x` itself.
        """

    @abc.abstractmethod
    def add(self, tensors: Sequence[Any], name: str) -> Any:
        """The sum of two tensors of the same shape."""

    @abc.abstractmethod
    def concatenate(self, tensors: Sequence[Any], name: str) -> Any:
        """Tensors concatenated along the channels."""

    @abc.abstractmethod
    def depth_to_space(self, x: Any, scale: int, name: str) -> Any:
        """(N, H, W, s*s*C) -> (N, s*H, s*W, C); moves values without changing them."""

    @abc.abstractmethod
    def shifted_image(self, x: Any, shift: Sequence[float], name: str) -> Any:
        """An image in [0, 255] with a constant added to each channel.

        Its range is known, so its quantizer has nothing to learn.
        """

    @abc.abstractmethod
    def image(self, x: Any) -> Any:
        """Mark `x` as an image in [0, 255], which an integer network holds as bytes."""
