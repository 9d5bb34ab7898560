"""Copying weights from one network to another of the same architecture."""

from pams_tf.errors import InputError
from pams_tf.models.centring import CentredConv2D
from pams_tf.models.network import SuperResolution
from pams_tf.quantization import QuantConv2D
from pams_tf.recipe import QuantizationRecipe


def with_recipe(model: SuperResolution, recipe: QuantizationRecipe | None) -> SuperResolution:
    """The same network with another recipe (None: float) and every weight that the two share.

    The ranges of quantizers that `model` does not have are not calibrated; see `quantize`.

    Example:
      >>> import pams_tf
      >>> from pams_tf import models
      >>> network = models.build("edsr_nano", 2, blocks=1)
      >>> student = models.with_recipe(network, pams_tf.QuantizationRecipe(bits=8))
      >>> student.recipe.bits, student.calibrated
      (8, False)

    Args:
      model: a float network or a student; not changed.
      recipe: how the result is quantized.

    Returns:
      A network of the same architecture.

    Source: `transfer_weights`.
    """
    twin = model.twin(recipe)
    transfer_weights(model, twin)
    return twin


def transfer_weights(source: SuperResolution, target: SuperResolution) -> None:
    """Copy every weight that both networks have, matched by layer and variable name.

    For networks of the same architecture with different recipes: convolutions always match,
    quantizers match where both networks have them. A learned range of weights that only `target`
    has gets the one with the smallest error of the kernel.

    Example:
      >>> import numpy as np
      >>> from pams_tf import models
      >>> one, other = (models.build("edsr_nano", 2, blocks=1) for _ in range(2))
      >>> models.transfer_weights(one, other)
      >>> all(map(np.array_equal, one.get_weights(), other.get_weights()))
      True

    Args:
      source: the network whose weights are copied.
      target: the network that is changed in place.

    Raises:
      InputError: the architectures differ; `target` is left unchanged.

    Source: the paths of Keras variables.
    """
    if source.identity != target.identity:
        raise InputError(
            f"the weights are those of {source.described}, not of {target.described}; "
            "give a checkpoint of that network or change --model, --scale and its overrides"
        )
    theirs = {variable.path: variable for variable in source.variables}
    for variable in target.variables:
        if variable.path in theirs:
            variable.assign(theirs[variable.path].value)
    for layer in target.layers:
        clip = layer.clip if isinstance(layer, QuantConv2D) else None
        if clip is not None and clip.path not in theirs:
            layer.fit_clip()


def begin_with(network: SuperResolution, source: SuperResolution) -> int:
    """Copy the weights of a float network of the same size, of this scale or another.

    What depends on the scale, such as the last convolution, is copied at the same scale alone.

    Example:
      >>> from pams_tf import models
      >>> small, large = (models.build("edsr_nano", scale, blocks=1) for scale in (2, 3))
      >>> models.begin_with(large, small) < len(large.variables)
      True

    Args:
      network: changed in place.
      source: not changed.

    Returns:
      The number of variables that were not copied.

    Raises:
      InputError: the networks have other sizes; `network` is left unchanged.

    Source: the paths and shapes of Keras variables.
    """
    same = (source.preset, source.overrides, source.graph) == (
        network.preset, network.overrides, network.graph
    )  # fmt: skip
    if not same or source.recipe is not None:
        quantized = "" if source.recipe is None else ", quantized"
        raise InputError(
            f"the weights are those of {source.described}{quantized}, and {network.described} "
            "cannot begin with them; give a float network of the same size"
        )
    theirs = {(v.path, tuple(v.shape)): v for v in source.variables}
    missing = 0
    for variable in network.variables:
        found = theirs.get((variable.path, tuple(variable.shape)))
        if found is None:
            missing += 1
        else:
            variable.assign(found.value)
    for layer in network.layers:
        if isinstance(layer, CentredConv2D):
            layer.centre()
    return missing
