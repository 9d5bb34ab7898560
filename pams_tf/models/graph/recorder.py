"""Any network as data: sites that write down the calls to them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pams_tf.models.graph.steps import IMAGE, Graph, Step
from pams_tf.models.network import SuperResolution
from pams_tf.models.sites import PLAIN, Geometry, Sites


def recorded(network: SuperResolution) -> Graph:
    """The steps of a network, whether it was registered or arrived as a Keras graph.

    They are those of a network whose tensors are all held in integers: `kept` gives what is held.
    """
    if network.graph is not None:
        return network.graph
    recorder = Recorder()
    output, feature = network.architecture.connect(IMAGE, network.scale, recorder)
    return Graph(
        steps=tuple(recorder.steps),
        output=output,
        feature=feature,
        scale=network.scale,
        channels=network.channels,
        unit=network.architecture.unit,
    )


class Recorder(Sites):
    """Passes on the names of results.

    Attributes:
      steps: the calls so far.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def _record(self, call: str, name: str, inputs: Sequence[str], **settings: Any) -> str:
        self.steps.append(Step(call, name, tuple(inputs), settings))
        return name

    def convolution(
        self,
        x: str,
        filters: int,
        kernel_size: int | Sequence[int],
        name: str,
        *,
        geometry: Geometry = PLAIN,
        **settings: Any,
    ) -> str:
        size = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
        if geometry != PLAIN:
            settings["geometry"] = vars(geometry)
        return self._record("convolution", name, [x], filters=filters, kernel_size=size, **settings)

    def activation(self, x: str, name: str, **settings: Any) -> str:
        return self._record("activation", name, [x], **settings)

    def clipped(self, x: str, name: str, *, low: float, high: float) -> str:
        return self._record("clipped", name, [x], low=low, high=high)

    def kept(self, x: str, held: str) -> str:
        return held

    def known_range(self, x: str, name: str, **settings: Any) -> str:
        return self._record("known_range", name, [x], **settings)

    def function(self, x: str, name: str, **settings: Any) -> str:
        return self._record("function", name, [x], **settings)

    def add(self, tensors: Sequence[str], name: str, **settings: Any) -> str:
        return self._record("add", name, tensors, **settings)

    def multiply(self, tensors: Sequence[str], name: str) -> str:
        return self._record("multiply", name, tensors)

    def concatenate(self, tensors: Sequence[str], name: str) -> str:
        return self._record("concatenate", name, tensors)

    def depth_to_space(self, x: str, scale: int, name: str) -> str:
        return self._record("depth_to_space", name, [x], scale=scale)

    def moved(self, x: str, name: str, *, movement: str, settings: Mapping[str, Any]) -> str:
        return self._record("moved", name, [x], movement=movement, settings=dict(settings))

    def rescaled(self, x: str, name: str, *, factor: float) -> str:
        return self._record("rescaled", name, [x], factor=factor)

    def shifted_image(self, x: str, shift: Sequence[float], name: str) -> str:
        return self._record("shifted_image", name, [x], shift=list(shift))

    def image(self, x: str, name: str = "image", *, gain: float = 1.0) -> str:
        # It need not be a layer, so its name may be that of another step.
        names = {step.name for step in self.steps}
        while name in names:
            name += "_out"
        return self._record("image", name, [x], gain=gain)
