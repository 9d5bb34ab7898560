"""The resumable training loop, the same for one device and for many."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from pams_tf.files import remove_leftovers
from pams_tf.models import SuperResolution, merged
from pams_tf.models import save as save_network
from pams_tf.quantization import ActivationQuantizer
from pams_tf.reporting.progress import StepProgress
from pams_tf.runs import RunFolder
from pams_tf.training.checkpoints import Checkpoints, DamagedError
from pams_tf.training.descent import Trainee, average, averaged, step_function
from pams_tf.training.logs import TrainingLog
from pams_tf.training.replicas import Replicas
from pams_tf.training.settings import RunSettings


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a run ends with.

    Attributes:
      network: what was trained, with the weights of the best checkpoint.
      steps: how many were trained.
      best_step, best_psnr: step and validation PSNR-Y (dB) of the best checkpoint.
    """

    network: SuperResolution
    steps: int
    best_step: int
    best_psnr: float


def fit(
    trainee: Trainee,
    network: SuperResolution,
    variables: Mapping[str, Sequence[keras.Variable]],
    settings: RunSettings,
    run: RunFolder,
    replicas: Replicas,
    *,
    batches: Callable[[int], tf.data.Dataset],
    validate: Callable[[], float],
    prepare: Callable[[], None] = lambda: None,
    quantizers: Sequence[ActivationQuantizer] = (),
    progress: bool = False,
) -> TrainingResult:
    """Train to `settings.steps`, from the newest checkpoint if there is one.

    A batch depends only on (seed, step), and a checkpoint holds everything else, so a run that was
    killed at any point ends with the same weights as one that was not. The chief alone reads and
    writes the run folder; the others get from it what it has read.

    Args:
      trainee: what is trained, with its losses and optimizers.
      network: the network being trained; afterwards it has the weights of the best checkpoint.
      variables: everything that a step changes, by group, for the checkpoints.
      run: the claimed run folder.
      replicas: who trains.
      batches: step -> dataset of the parts of that step's batch for the replicas of this process,
        followed by those of later steps, to the last one.
      validate: returns the current validation PSNR of `network`; all processes call it.
      prepare: runs once before step 0 (calibration); the first checkpoint includes its effect.
      quantizers: the quantizers whose alphas are logged.
      progress: show a progress bar on a terminal, lines elsewhere.

    Raises:
      InputError: the loss diverged, a file cannot be written, or another process failed; the newest
        checkpoint is intact.
    """
    checkpoints = Checkpoints(variables)

    def save(state: Mapping[str, Any], better: bool) -> None:
        with replicas.together():
            if replicas.chief:
                if better:
                    checkpoints.save(run.best, state)
                checkpoints.save(run.newest, state)

    state: dict[str, Any] = {}
    with replicas.together():
        if replicas.chief:
            remove_leftovers(run.newest.parent)
            if run.newest.is_file():
                state = _restored(checkpoints, run, settings.steps)
            else:
                prepare()
    for group in variables.values():
        replicas.variables_from_chief(group)
    state = _state_from_chief(replicas, state)
    if not state:
        state = {"step": 0, "psnr": validate()}
        state |= {"best_step": 0, "best_psnr": state["psnr"]}
        save(state, better=True)
    step = state["step"]
    losses = ("loss", "l1", "skt") if quantizers else ("loss",)
    train_step = step_function(trainee, replicas, losses)
    optimizer, _ = trainee.updates[0]
    iterator: Iterator[Any] = iter(())
    try:
        with StepProgress(
            run.path.name, settings.steps, step, visible=progress and replicas.chief
        ) as bar:
            bar.validated(step, state["psnr"])
            log = TrainingLog(
                run,
                quantizers,
                optimizer,
                losses,
                step,
                settings.log_every,
                bar,
                writes=replicas.chief,
            )
            if step < settings.steps:
                iterator = replicas.distributed(batches(step))
            while step < settings.steps:
                length = min(settings.checkpoint_every, settings.steps - step)
                for _ in range(length):
                    log.step_done(train_step(*next(iterator)).numpy())
                step += length
                with averaged(trainee):
                    state |= {"step": step, "psnr": validate()}
                bar.validated(step, state["psnr"])
                log.write({"valid_psnr": state["psnr"]})
                better = state["psnr"] > state["best_psnr"]
                if better:
                    state |= {"best_step": step, "best_psnr": state["psnr"]}
                save(state, better)
    finally:
        # Before anything else: threads that still read ahead keep a process from ending.
        del iterator
    with replicas.together():
        if replicas.chief:
            state = checkpoints.restore(run.best) | {"step": step}
            average(trainee)
    replicas.variables_from_chief(network.variables)
    network = merged(network)
    with replicas.together():
        if replicas.chief:
            save_network(network, run.student if network.recipe else run.model)
    return TrainingResult(network, step, state["best_step"], state["best_psnr"])


def _state_from_chief(replicas: Replicas, state: Mapping[str, Any]) -> dict[str, Any]:
    """The chief's state in every process; nothing if the run has not begun."""
    numbers = [state.get(name, -1) for name in ("step", "psnr", "best_step", "best_psnr")]
    step, psnr, best_step, best_psnr = replicas.from_chief(numbers)
    if step < 0:
        return {}
    return {
        "step": int(step),
        "psnr": psnr,
        "best_step": int(best_step),
        "best_psnr": best_psnr,
    }


def _restored(checkpoints: Checkpoints, run: RunFolder, steps: int) -> dict[str, Any]:
    """The state of the newest checkpoint, or of the best one if the newest is damaged.

    A run that goes on from an earlier step repeats what followed and ends with the same weights.
    """
    try:
        return checkpoints.restore(run.newest, last_step=steps)
    except DamagedError as error:
        if not run.best.is_file():
            raise
        state = checkpoints.restore(run.best)
        print(f"{error}; going on from the best one, step {state['step']}", file=sys.stderr)
        return state
