"""Logs of a training run: CSV files and TensorBoard. A loss that is not finite stops the run."""

import csv
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pams_tf.errors import InputError
from pams_tf.quantization import ActivationQuantizer
from pams_tf.reporting.progress import StepProgress
from pams_tf.runs import RunFolder


class CsvLog:
    """A CSV file with a `step` column; resuming at a step drops the rows after it."""

    def __init__(self, path: Path, columns: Sequence[str], start_step: int) -> None:
        self._path = path
        self._columns = ["step", *columns]
        rows = [row for row in _rows(path) if int(row["step"]) <= start_step]
        self.empty = not rows
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self._columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        with self._path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(
                {"step": step, **{key: f"{value:.6g}" for key, value in values.items()}}
            )


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows so far. A damaged log is set aside: the run does not depend on it."""
    try:
        rows = read_csv(path)
        for row in rows:
            int(row["step"])
            for value in filter(None, row.values()):
                float(value)
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        aside = path.with_suffix(".damaged.csv")
        path.replace(aside)
        print(f"{path}: damaged ({error}); set aside as {aside.name}", file=sys.stderr)
        return []
    return rows


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a log; none if there is no such file. An incomplete last line is skipped."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row.values() and row["step"]]


class TrainingLog:
    """Logs the steps of one run: each row has the means since the previous one.

    Args:
      run: the run folder.
      quantizers: those whose alphas are logged.
      optimizer: the one whose learning rate is logged.
      losses: names of the losses, "loss" first.
      start_step: the step at which this process starts.
      log_every: steps between rows.
      progress: shows the means too.
      writes: False for processes that leave the files to the chief.
    """

    def __init__(
        self,
        run: RunFolder,
        quantizers: Sequence[ActivationQuantizer],
        optimizer: keras.optimizers.Optimizer,
        losses: Sequence[str],
        start_step: int,
        log_every: int,
        progress: StepProgress,
        *,
        writes: bool = True,
    ) -> None:
        self.step = start_step
        self._run = run
        self._quantizers = quantizers
        self._optimizer = optimizer
        self._names = losses
        self._log_every = log_every
        self._progress = progress
        self._since: list[np.ndarray] = []
        self._writes = writes
        if not writes:
            return
        columns = [*losses, "learning_rate", "valid_psnr"]
        self._losses = CsvLog(run.log, columns, start_step)
        self._alphas = (
            CsvLog(run.alphas, [q.name for q in quantizers], start_step) if quantizers else None
        )
        self._summary = tf.summary.create_file_writer(os.fsencode(run.tensorboard))
        # A run that was killed before its second checkpoint has the row of step 0 already.
        if self._alphas is not None and self._alphas.empty:
            self._write_alphas()

    def step_done(self, losses: np.ndarray) -> None:
        """Log one step.

        Args:
          losses: float (L, R), every loss on every replica.

        Raises:
          InputError: a loss is not finite. The step that broke it is not saved, so the last
            checkpoint stays intact.
        """
        broken = ~np.isfinite(losses).all(axis=0)
        if broken.any():
            place, replicas = "", len(broken)
            if not broken.all():
                place = f" on replica {int(np.argmax(broken))} of {replicas}"
            raise InputError(
                f"{self._run.path}: the loss is {losses[0][broken][0]}{place} at step "
                f"{self.step + 1}; the training has diverged. The last checkpoint is intact: lower "
                "the learning rate and start a run under another --name"
            )
        self.step += 1
        self._since.append(losses.mean(axis=1))
        means = dict(zip(self._names, np.mean(self._since, axis=0).tolist(), strict=True))
        self._progress.update(self.step, means.items())
        if self.step % self._log_every == 0:
            rate = float(keras.ops.convert_to_numpy(self._optimizer.learning_rate))
            self.write({**means, "learning_rate": rate})
            self._write_alphas()
            self._since.clear()

    def write(self, values: Mapping[str, float]) -> None:
        """Write a row of log.csv, and the same scalars for TensorBoard, at the current step."""
        if not self._writes:
            return
        self._losses.write(self.step, values)
        with self._summary.as_default(step=self.step):
            for key, value in values.items():
                tf.summary.scalar(key, value)
        self._summary.flush()

    def _write_alphas(self) -> None:
        if not self._writes or self._alphas is None:
            return
        alphas = {q.name: q.range["alpha"] for q in self._quantizers}
        self._alphas.write(self.step, alphas)
        with self._summary.as_default(step=self.step):
            for name, alpha in alphas.items():
                tf.summary.scalar(f"alpha/{name}", alpha)
