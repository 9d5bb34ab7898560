"""The interface in which networks are defined: named sites, at which quantizers can be placed.

A builder is a function that describes a network once, through calls to a `Sites` object. The object
decides what the calls create: `KerasSites` creates the float network and every student, the
export's `IntegerSites` creates the integer graph, and the sites of verification cut the network
into its layers. Builders treat the tensors that they pass on as opaque.
"""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Geometry:
    """How a convolution's kernel goes over the image, with Keras' terms.

    Attributes:
      strides, dilation: the same on both axes.
      padding: "same" (zeros) or "valid".
      groups: groups of channels that are convolved by themselves; as many as there are channels for
        a depthwise convolution. The kernel is (h, w, channels / groups, filters).
    """

    strides: int = 1
    padding: str = "same"
    dilation: int = 1
    groups: int = 1


PLAIN = Geometry()


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
        kernel_size: int | Sequence[int],
        name: str,
        *,
        body: bool = True,
        batch_norm: bool = False,
        gain: float = 1.0,
        shift: Sequence[float] | None = None,
        relu: bool = False,
        dtype: str | None = None,
        geometry: Geometry = PLAIN,
        shared: str | None = None,
        expansion: int = 0,
    ) -> Any:
        """conv -> [batch normalization] -> [* gain] -> [+ shift] -> [ReLU].

        This is one site because an integer graph folds all of it into one convolution. `dtype`
        overrides the Keras dtype policy for this convolution; `shared` names an earlier one whose
        weights it uses; `expansion` is for training alone, see `models.merging`.
        """

    @abc.abstractmethod
    def activation(
        self,
        x: Any,
        name: str,
        *,
        body: bool = True,
        after_relu: bool = False,
        ceiling: float | None = None,
        true_values: bool = False,
    ) -> Any:
        """A tensor that an integer network must hold, quantized here if the recipe says so.

        `after_relu` says that it has no negative values, which some quantizers make use of. No
        range reaches beyond `ceiling`. With `true_values` a file holds the values as they are, in
        unit 1, see `quantization.held`; otherwise it may choose the unit.
        """

    @abc.abstractmethod
    def clipped(self, x: Any, name: str, *, low: float, high: float) -> Any:
        """Values clipped to [low, high], in front of a site whose ceiling is `high`.

        Where the site quantizes, its range is the clip.
        """

    @abc.abstractmethod
    def kept(self, x: Any, held: Any) -> Any:
        """The tensor `x` for a second reader later on, where `held` is `x` after its site.

        An integer network no longer has `x` and returns `held`. A network that is float there
        returns `x` itself.
        """

    @abc.abstractmethod
    def known_range(
        self, x: Any, name: str, *, minimum: float, maximum: float, body: bool = True
    ) -> Any:
        """Like `activation`, for a range that is known: the quantizer has nothing to learn."""

    @abc.abstractmethod
    def function(self, x: Any, name: str, *, kind: str, slope: float = 0.0) -> Any:
        """A function of each value: "tanh", "sigmoid", "leaky_relu" (with a slope), or "prelu".

        A PReLU has one trained slope per channel.
        """

    @abc.abstractmethod
    def add(self, tensors: Sequence[Any], name: str, *, relu: bool = False) -> Any:
        """The sum of two tensors, and a ReLU behind it."""

    @abc.abstractmethod
    def multiply(self, tensors: Sequence[Any], name: str) -> Any:
        """The product of two tensors; one of them may be (N, 1, 1, C) or (N, H, W, 1)."""

    @abc.abstractmethod
    def mean(self, x: Any, name: str) -> Any:
        """The mean of each channel over height and width: (N, H, W, C) -> (N, 1, 1, C)."""

    @abc.abstractmethod
    def concatenate(self, tensors: Sequence[Any], name: str) -> Any:
        """Tensors concatenated along the channels."""

    @abc.abstractmethod
    def depth_to_space(self, x: Any, scale: int, name: str) -> Any:
        """(N, H, W, s*s*C) -> (N, s*H, s*W, C); moves values without changing them."""

    @abc.abstractmethod
    def moved(self, x: Any, name: str, *, movement: str, settings: Mapping[str, Any]) -> Any:
        """The values of a tensor in another arrangement; see `models.movements`."""

    @abc.abstractmethod
    def bilinear(self, x: Any, name: str, *, scale: int) -> Any:
        """Bilinear enlargement; its result stays on the grid of `x`. See `models.enlarging`."""

    @abc.abstractmethod
    def rescaled(self, x: Any, name: str, *, factor: float) -> Any:
        """The values of a tensor times a positive factor; a file leaves the tensor as it is."""

    @abc.abstractmethod
    def shifted_image(self, x: Any, shift: Sequence[float], name: str) -> Any:
        """An image in [0, 255] with a constant added to each channel.

        Its range is known, so its quantizer has nothing to learn.
        """

    @abc.abstractmethod
    def image(self, x: Any, name: str = "image", *, gain: float = 1.0) -> Any:
        """Mark `x` times `gain` as an image in [0, 255], held as bytes in an integer network."""
