"""From a functional Keras model to nodes: one handler per kind of layer, in `layers`."""

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from pams_tf.errors import InputError
from pams_tf.models.graph import layers, recognize
from pams_tf.models.graph.nodes import Node
from pams_tf.models.graph.recognize import Opaque


def flatten(model: keras.Model) -> Node:
    """The node of the model's output.

    Raises:
      InputError: one message with every layer that has no integer form, its path in the graph, and
        what would do in its place.
    """
    reader = _Reader()
    image = Node("image", "lr", settings={"channels": model.input_shape[-1]})
    output = reader.run(model, image, ())
    if isinstance(output, Opaque):
        reader.problems.append(str(output.refused()))
    if reader.problems:
        raise InputError(
            f"{model.name}: {len(reader.problems)} of its layers cannot be integer: "
            + "; ".join(reader.problems)
        )
    assert isinstance(output, Node)
    return output


class _Reader:
    """Runs a model on nodes in the place of tensors.

    Attributes:
      problems: what could not be read, one sentence each.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._names: set[str] = {"lr"}
        self._first: dict[int, str] = {}  # layer -> the node that has its weights

    def run(self, model: Any, image: Any, path: tuple[str, ...]) -> Any:
        """The result of a model whose input is a node."""
        if isinstance(model, keras.Sequential):
            x = image
            for layer in model.layers:
                if not isinstance(layer, keras.layers.InputLayer):
                    x = self._call(layer, path, (x,), {})
            return x
        # What Keras itself does to call a functional model; it takes any object as a tensor.
        result = model._run_through_graph(
            [image],
            operation_fn=lambda operation: (
                lambda *args, **kwargs: self._call(operation, path, args, kwargs)
            ),
        )
        return _only(result)

    def _call(self, operation: Any, path: tuple[str, ...], args: Any, kwargs: Any) -> Any:
        read = keras.tree.flatten((args, kwargs))
        if any(isinstance(x, _Unknown) for x in read):
            # What comes behind a problem is not another one.
            self.problems += [str(x.refused()) for x in read if isinstance(x, Opaque)]
            return _Unknown()
        if isinstance(operation, keras.Sequential) or _is_functional(operation):
            return self.run(operation, args[0], (*path, operation.name))
        where = "/".join((*path, operation.name))
        try:
            return self._read(operation, where, args, kwargs)
        except recognize.UnrecognizedError as error:
            self.problems.append(str(error))
        except InputError as error:
            self.problems.append(f"{where} ({type(operation).__name__}): {error}")
        return _Unknown()

    def _read(self, operation: Any, where: str, args: Any, kwargs: Any) -> Any:
        inputs = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, Node | Opaque)]
        handler = layers.handler(operation)
        if handler is not None and not any(isinstance(x, Opaque) for x in inputs):
            builder = layers.Builder(self._named(where), operation, self._first)
            return handler(builder, *args, **kwargs)
        return recognize.continued(operation, inputs, args, kwargs, where, self._named(where))

    def _named(self, where: str) -> Callable[[str], str]:
        base = re.sub(r"[^A-Za-z0-9_]", "_", where)
        base = base if base[:1].isalnum() else f"layer{base}"

        def name(suffix: str = "") -> str:
            wanted = f"{base}_{suffix}" if suffix else base
            chosen, count = wanted, 1
            while chosen in self._names:
                chosen, count = f"{wanted}_{count}", count + 1
            self._names.add(chosen)
            return chosen

        return name


class _Unknown:
    """The result of a layer that could not be read."""


def _is_functional(operation: Any) -> bool:
    return isinstance(operation, keras.Model) and hasattr(operation, "_run_through_graph")


def _only(result: Any) -> Any:
    flat = keras.tree.flatten(result) if not isinstance(result, Node | Opaque) else [result]
    return flat[0]


def check_whole(model: Any) -> None:
    """Check what can be said of a model without looking into it.

    Raises:
      InputError: it is not functional, or has not one image as its input and its output.
    """
    if not isinstance(model, keras.Sequential) and not _is_functional(model):
        raise InputError(
            f"{model.name} is a subclassed model, whose graph Keras does not know; make it "
            "functional: x = keras.Input((None, None, 3)); model = keras.Model(x, network(x)) "
            "with layers from keras.layers and functions from keras.ops"
        )
    if isinstance(model, keras.Sequential) and not model.built:
        raise InputError(f"{model.name} is not built; give it an Input as its first layer")
    for which, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(tensors) != 1:
            raise InputError(
                f"{model.name} has {len(tensors)} {which}; a network for super-resolution has one "
                "image in and one image out: give keras.Model(one_input, one_output)"
            )
    for variable in model.variables:
        if not np.isfinite(np.asarray(variable.value)).all():
            raise InputError(
                f"{model.name}: {variable.path} has values that are not finite; train it again or "
                "take an earlier checkpoint"
            )
