"""One step of gradient descent, on each replica a share of the batch."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from pams_tf.training.replicas import Replicas

Losses = dict[str, Any]
AGREEING = "agreeing"
"""Name of a loss whose gradient is added only where it has the sign of that of "loss"."""


class Trainee(Protocol):
    """What a run trains.

    Attributes:
      updates: pairs of an optimizer and the variables that it updates.
      jit_compile: whether XLA compiles losses and gradients.
      clip_norm: longest gradient of the first optimizer's variables; 0 for no limit.
    """

    jit_compile: bool
    clip_norm: float

    @property
    def updates(self) -> Sequence[tuple[keras.optimizers.Optimizer, Sequence[keras.Variable]]]: ...

    def losses(self, lr: Any, hr: Any) -> Losses:
        """Losses by name, means over the samples, for (N, h, w, 3) images in [0, 255].

        The one named "loss" is minimized, and one named `AGREEING` as far as it agrees.
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

    def differentiate(lr: Any, hr: Any) -> tuple[Losses, list[list[Any]]]:
        with tf.GradientTape(persistent=True) as tape:
            losses = trainee.losses(lr, hr)
            targets = [losses[name] * share for name in ("loss", AGREEING) if name in losses]
            if scaled:  # all of them have the same scale, see `agreed`
                targets = [scaled[0].scale_loss(target) for target in targets]
        with tf.name_scope("gradients"):
            return losses, [tape.gradient(target, variables) for target in targets]

    if trainee.jit_compile:
        differentiate = tf.function(differentiate, jit_compile=True)
    losses, (gradients, *more) = differentiate(lr, hr)
    for others in more:
        gradients = where_they_agree(gradients, others)
    if scaled:
        gradients = agreed(gradients)
    start = 0
    for index, (optimizer, group) in enumerate(trainee.updates):
        ours = gradients[start : start + len(group)]
        if index == 0 and trainee.clip_norm:
            longest = trainee.clip_norm
            ours = clipped(ours, scaled[0].scale_loss(longest) if scaled else longest)
        if group:  # Keras sums the gradients over the replicas
            with tf.name_scope("optimizer"):
                optimizer.apply(ours, group)
        start += len(group)
    return losses


def where_they_agree(gradients: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """Each replica's part of `gradients`, plus `others` where both sums over all have one sign.

    Source: the cooperative regularization of ODM (arXiv 2307.13337).
    """
    pairs = [(a, b) for a, b in zip(gradients, others, strict=True) if None not in (a, b)]
    context = tf.distribute.get_replica_context()
    sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [x for pair in pairs for x in pair])
    added = iter(
        a + tf.where(sum_a * sum_b > 0, b, tf.zeros_like(b))
        for (a, b), sum_a, sum_b in zip(pairs, sums[::2], sums[1::2], strict=True)
    )
    return [
        next(added) if a is not None and b is not None else a
        for a, b in zip(gradients, others, strict=True)
    ]


def clipped(gradients: Sequence[Any], longest: Any) -> list[Any]:
    """Each replica's part of a gradient whose sum over all replicas is no longer than `longest`."""
    context = tf.distribute.get_replica_context()
    known = [g for g in gradients if g is not None]
    norm = tf.linalg.global_norm(context.all_reduce(tf.distribute.ReduceOp.SUM, known))
    factor = tf.minimum(longest / norm, 1.0)  # not a number stays one, and ends the run
    return [None if g is None else g * tf.cast(factor, g.dtype) for g in gradients]


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


@contextlib.contextmanager
def averaged(trainee: Trainee) -> Iterator[None]:
    """A block in which the variables have the moving averages that their optimizers keep.

    Without `use_ema`, and before the first step, nothing changes.
    """
    kinds = [getattr(optimizer, "inner_optimizer", optimizer) for optimizer, _ in trainee.updates]
    if not any(kind.use_ema for kind in kinds):
        yield
        return
    groups = [(optimizer, group) for optimizer, group in trainee.updates if group]
    before = [[keras.ops.convert_to_numpy(v) for v in group] for _, group in groups]
    average(trainee)
    try:
        yield
    finally:
        for (_, group), values in zip(groups, before, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)


def average(trainee: Trainee) -> None:
    """Set the variables to the moving averages that their optimizers keep, if they keep any."""
    for optimizer, group in trainee.updates:
        if group and int(keras.ops.convert_to_numpy(optimizer.iterations)):
            optimizer.finalize_variable_values(group)


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
