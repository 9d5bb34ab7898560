"""Adam whose steps are a part of what they change."""

from typing import Any

import keras

from pams_tf.training.optimizers import AveragingAdam


@keras.saving.register_keras_serializable("pams_tf")
class RelativeAdam(AveragingAdam):
    """Adam with the learning rate times the magnitude of each variable: steps of rate * |variable|.

    For ranges: a range of 1 and one of 300 then change by the same part in a step, and with a rate
    below 1 no step reaches 0.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(gradient, variable, learning_rate * keras.ops.abs(variable))


def is_relative(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether the optimizer's rate is relative, also behind a scaled loss."""
    return isinstance(getattr(optimizer, "inner_optimizer", optimizer), RelativeAdam)
