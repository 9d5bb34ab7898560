"""One step of gradient descent, on each replica a share of the batch."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from pams_tf.training.replicas import Replicas

Losses = dict[str, Any]


class Trainee(Protocol):
    """What a run trains.

    Attributes:
      updates: pairs of an optimizer and the variables that it updates.
      jit_compile: whether XLA compiles losses and gradients.
    """

    jit_compile: bool

    @property
    def updates(self) -> Sequence[tuple[keras.optimizers.Optimizer, Sequence[keras.Variable]]]: ...

    def losses(self, lr: Any, hr: Any) -> Losses:
        """Losses by name, means over the samples, for (N, h, w, 3) images in [0, 255].

        The one named "loss" is minimized.
        """


def descend(trainee: Trainee, lr: Any, hr: Any) -> Losses:
    """One step in the context of a replica: the gradients of all are summed before the update.

    With loss / replicas as each one's share, n replicas take the step of one that has the whole
    batch. Returns this replica's losses.
    """
    share = 1.0 / tf.distribute.get_strategy().num_replicas_in_sync
    variables = [variable.value for _, group in trainee.updates for variable in group]
    scaled = [
        optimizer
        for optimizer, _ in trainee.updates
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    ]

    def differentiate(lr: Any, hr: Any) -> tuple[Losses, list[Any]]:
        with tf.GradientTape() as tape:
            losses = trainee.losses(lr, hr)
            target = losses["loss"] * share
            if scaled:  # all of them have the same scale, see `agreed`
                target = scaled[0].scale_loss(target)
        return losses, tape.gradient(target, variables)

    if trainee.jit_compile:
        differentiate = tf.function(differentiate, jit_compile=True)
    losses, gradients = differentiate(lr, hr)
    if scaled:
        gradients = agreed(gradients)
    start = 0
    for optimizer, group in trainee.updates:
        if group:  # Keras sums the gradients over the replicas
            optimizer.apply(gradients[start : start + len(group)], group)
        start += len(group)
    return losses


def agreed(gradients: Sequence[Any]) -> list[Any]:
    """Not a number everywhere, if any gradient on any replica is not finite.

    So that all optimizers on all replicas skip the same steps, and scale the loss alike.
    """
    finite = [tf.reduce_all(tf.math.is_finite(g)) for g in gradients if g is not None]
    broken = tf.cast(tf.logical_not(tf.reduce_all(finite)), tf.float32)
    context = tf.distribute.get_replica_context()
    broken = context.all_reduce(tf.distribute.ReduceOp.SUM, broken)
    return [
        None if g is None else tf.where(broken > 0, tf.cast(float("nan"), g.dtype), g)
        for g in gradients
    ]


def step_function(
    trainee: Trainee, replicas: Replicas, names: Sequence[str]
) -> Callable[[Any, Any], Any]:
    """A function of a distributed batch (lr, hr): the losses `names` of every replica, (L, R)."""
    strategy = replicas.strategy

    @tf.function
    def step(lr: Any, hr: Any) -> Any:
        def one(lr: Any, hr: Any) -> Any:
            found = descend(trainee, lr, hr)
            values = tf.stack([tf.cast(found[name], tf.float32) for name in names])
            context = tf.distribute.get_replica_context()
            ours = tf.range(replicas.count) == context.replica_id_in_sync_group
            table = tf.where(ours[None], values[:, None], 0.0)  # 0 * NaN would be NaN
            return context.all_reduce(tf.distribute.ReduceOp.SUM, table)

        tables = strategy.run(one, args=(lr, hr))
        return strategy.experimental_local_results(tables)[0]

    return step
