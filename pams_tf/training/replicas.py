"""The replicas of a run: one device, the GPUs of a machine, or those of several machines.

Everything that depends on `tf.distribute` is here and in `descent`. With one device all of it is
the same, with one replica.
"""

import contextlib
import functools
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf.errors import InputError
from pams_tf.training.cluster import Cluster, cluster_from_environment, meet

STRATEGIES = ("auto", "one", "mirrored", "multiworker")


class Replicas:
    """A `tf.distribute` strategy, and who this process is in it.

    Attributes:
      strategy: builds variables in its scope and runs functions on all replicas.
      count: number of replicas in all processes.
      local: the replicas of this process.
      worker, workers: the number of this process, and of all.
    """

    def __init__(self, strategy: tf.distribute.Strategy, cluster: Cluster | None = None) -> None:
        self.strategy = strategy
        self.count = strategy.num_replicas_in_sync
        self.worker = cluster.index if cluster else 0
        self.workers = len(cluster.workers) if cluster else 1
        here = self.count // self.workers
        self.local = range(self.worker * here, (self.worker + 1) * here)

    @property
    def chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.worker == 0

    def shares(self, batch_size: int) -> list[range]:
        """The samples of a batch that each replica of this process takes.

        Raises:
          InputError: the batch does not divide.
        """
        size, rest = divmod(batch_size, self.count)
        if rest:
            below = batch_size - rest
            fitting = f"{below} or {below + self.count}" if below else f"{self.count}"
            raise InputError(
                f"batch_size={batch_size} does not divide by {self.count} replicas; give {fitting}"
            )
        return [range(replica * size, (replica + 1) * size) for replica in self.local]

    def distributed(self, dataset: tf.data.Dataset) -> Iterator[Any]:
        """An iterator whose items give each replica here the next element, on its own device."""
        return iter(self.strategy.distribute_datasets_from_function(lambda _: dataset))

    def local_index(self) -> int:
        """Inside a function that a replica runs: its place among those of this process."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return int(tf.get_static_value(replica)) - self.local.start

    def summed(self, values: np.ndarray) -> np.ndarray:
        """The sum over all processes of an array, float64; all must call it."""
        if self.workers == 1:
            return np.asarray(values, np.float64)
        return self._total(tf.constant(values, tf.float64)).numpy()

    @functools.cached_property
    def _total(self) -> Callable[[Any], Any]:
        @tf.function(reduce_retracing=True)
        def total(values: Any) -> Any:
            def one(values: Any) -> Any:
                first = self.local_index() == 0
                ours = tf.identity(values) if first else tf.zeros_like(values)
                context = tf.distribute.get_replica_context()
                return context.all_reduce(tf.distribute.ReduceOp.SUM, ours)

            sums = self.strategy.run(one, args=(values,))
            return self.strategy.experimental_local_results(sums)[0]

        return total

    def from_chief(self, values: Sequence[float]) -> list[float]:
        """The chief's numbers, in every process."""
        ours = np.asarray(values, np.float64)
        return self.summed(ours if self.chief else np.zeros_like(ours)).tolist()

    def variables_from_chief(self, variables: Sequence[keras.Variable]) -> None:
        """Give every process the chief's values, exactly: float64 holds all that occur."""
        if self.workers == 1 or not variables:
            return
        flat = np.concatenate(
            [keras.ops.convert_to_numpy(v.value).astype(np.float64).ravel() for v in variables]
        )
        flat = self.summed(flat if self.chief else np.zeros_like(flat))
        start = 0
        for variable in variables:
            end = start + int(np.prod(variable.shape))
            variable.assign(flat[start:end].reshape(variable.shape))
            start = end

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """A block in which one process may fail: then all of them end, each with a message.

        Raises:
          InputError: the block has raised it here, or in another process.
        """
        own: InputError | None = None
        try:
            yield
        except InputError as error:
            own = error
        failed = np.zeros(self.workers)
        failed[self.worker] = own is not None
        failed = self.summed(failed)
        if own is not None:
            raise own
        if failed.any():
            raise InputError(
                f"worker {int(np.argmax(failed))} cannot go on and says why; start the same "
                "command on all workers again when that is mended"
            )

    @contextlib.contextmanager
    def watched(self, folder: Any) -> Iterator[None]:
        """A block in which a worker may be lost, which TensorFlow notices within half a minute.

        Raises:
          InputError: one was lost; the message says how to go on.
        """
        try:
            yield
        except _LOST as error:
            if self.workers == 1:
                raise
            raise InputError(
                f"{folder}: another worker was lost ({_short(error)}). The newest checkpoint is "
                "intact: start the same command on all workers, or on fewer, to go on from there"
            ) from error


_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


def _short(error: tf.errors.OpError) -> str:
    """What happened, of a message of many lines."""
    text = " ".join(str(error.message).split())
    _, _, cause = text.rpartition("aborted by: ")
    return textwrap.shorten(cause, 100, placeholder=" ...") or type(error).__name__


def choose_replicas(name: str = "auto") -> Replicas:
    """The replicas that a strategy names. Call it before TensorFlow has computed anything.

    Args:
      name: "one": one GPU, or the CPU; "mirrored": all GPUs of this machine; "multiworker": those
        of all machines in TF_CONFIG; "auto": multiworker if TF_CONFIG names several workers,
        mirrored if there are several GPUs, otherwise one.

    Raises:
      InputError: an unknown name, no GPU for mirrored, or a TF_CONFIG that cannot be used; also a
        worker in it that does not come.
    """
    if name not in STRATEGIES:
        raise InputError(f"strategy {name!r} is not possible; choose {', '.join(STRATEGIES)}")
    cluster = cluster_from_environment() if name in ("auto", "multiworker") else None
    if cluster is not None:
        return _workers(cluster)
    if name == "multiworker":
        raise InputError(
            "strategy 'multiworker' needs TF_CONFIG with two workers or more; it is the "
            "environment variable that says who takes part, see docs/gpus.md"
        )
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = tuple(device.name.partition("device:")[2] for device in devices)
    if name == "mirrored" and len(names) == 1 and names[0].startswith("CPU"):
        raise InputError(
            "strategy 'mirrored' needs GPUs, and TensorFlow finds none here; leave it out to "
            "train on the processor"
        )
    several_gpus = len(names) > 1 and names[0].startswith("GPU")
    if name == "mirrored" or (name == "auto" and several_gpus):
        return _mirrored(names)
    return _one(names[0])


@functools.cache
def _one(device: str) -> Replicas:
    return Replicas(tf.distribute.OneDeviceStrategy(device))


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> Replicas:
    return Replicas(tf.distribute.MirroredStrategy(devices))


@functools.cache
def _workers(cluster: Cluster) -> Replicas:
    """TensorFlow joins a cluster once in a process."""
    meet(cluster)
    try:
        return Replicas(tf.distribute.MultiWorkerMirroredStrategy(), cluster)
    except (RuntimeError, tf.errors.OpError) as error:
        raise InputError(
            f"TensorFlow cannot join the workers of TF_CONFIG ({str(error).splitlines()[0]}); "
            "start training before anything else in a new process"
        ) from error
