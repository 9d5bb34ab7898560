"""The resumable training loop: segments of Keras `fit` between checkpoints."""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from pams_tf.files import remove_leftovers
from pams_tf.models import SuperResolution, merged, save
from pams_tf.quantization import ActivationQuantizer
from pams_tf.reporting.progress import StepProgress
from pams_tf.runs import RunFolder
from pams_tf.training.checkpoints import Checkpoints, DamagedError
from pams_tf.training.logs import TrainingLog
from pams_tf.training.settings import RunSettings


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """The steps of a run, and the step and validation PSNR-Y (dB) of its best checkpoint."""

    steps: int
    best_step: int
    best_psnr: float


def fit(
    trainee: keras.Model,
    network: SuperResolution,
    variables: Mapping[str, Sequence[keras.Variable]],
    settings: RunSettings,
    run: RunFolder,
    *,
    batches: Callable[[int], Any],
    validate: Callable[[], float],
    prepare: Callable[[], None] = lambda: None,
    quantizers: Sequence[ActivationQuantizer] = (),
    progress: bool = False,
) -> TrainingResult:
    """Train to `settings.steps`, from the newest checkpoint if there is one.

    A batch depends only on (seed, step), and a checkpoint holds everything else, so a run that was
    killed at any point ends with the same weights as one that was not.

    Args:
      trainee: the compiled Keras model whose `train_step` is run.
      network: the network being trained; afterwards it has the weights of the best checkpoint.
      variables: everything that a step changes, by group, for the checkpoints.
      run: the claimed run folder.
      batches: step -> tf.data.Dataset that starts with that step's batch.
      validate: returns the current validation PSNR of `network`.
      prepare: runs once before step 0 (calibration); the first checkpoint includes its effect.
      quantizers: the quantizers whose alphas are logged.
      progress: show a progress bar on a terminal, lines elsewhere.

    Raises:
      InputError: the loss diverged, or a file cannot be written; the newest checkpoint is intact.
    """
    checkpoints = Checkpoints(variables)
    remove_leftovers(run.newest.parent)
    if run.newest.is_file():
        state = _restored(checkpoints, run, settings.steps)
    else:
        prepare()
        state = {"step": 0, "psnr": validate()}
        state |= {"best_step": 0, "best_psnr": state["psnr"]}
        checkpoints.save(run.best, state)
        checkpoints.save(run.newest, state)
    step = state["step"]
    losses = ("loss", "l1", "skt") if quantizers else ("loss",)
    with StepProgress(run.path.name, settings.steps, step, visible=progress) as bar:
        bar.validated(step, state["psnr"])
        log = TrainingLog(run, quantizers, trainee.optimizer, losses, step, settings.log_every, bar)
        while step < settings.steps:
            length = min(settings.checkpoint_every, settings.steps - step)
            trainee.fit(
                batches(step).take(length),
                epochs=1,
                steps_per_epoch=length,
                shuffle=False,
                verbose=0,
                callbacks=[log],
            )
            step += length
            state |= {"step": step, "psnr": validate()}
            bar.validated(step, state["psnr"])
            log.write({"valid_psnr": state["psnr"]})
            better = state["psnr"] > state["best_psnr"]
            if better:
                state |= {"best_step": step, "best_psnr": state["psnr"]}
                checkpoints.save(run.best, state)
            checkpoints.save(run.newest, state)
    state = checkpoints.restore(run.best) | {"step": step}
    save(merged(network), run.student if network.recipe else run.model)
    return TrainingResult(step, state["best_step"], state["best_psnr"])


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
