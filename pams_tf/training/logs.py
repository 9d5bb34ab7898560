"""Logs of a training run: CSV files and TensorBoard. A loss that is not finite stops the run."""

import csv
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
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


class TrainingLog(keras.callbacks.Callback):
    """Logs the steps of one run across all its `fit` calls.

    `on_train_batch_end` raises InputError when the loss is no longer finite. The step that broke it
    is not saved, so the last checkpoint stays intact.
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
    ) -> None:
        super().__init__()
        self.step = start_step
        self._run = run
        self._quantizers = quantizers
        self._optimizer = optimizer
        self._log_every = log_every
        self._progress = progress
        columns = [*losses, "learning_rate", "valid_psnr"]
        self._losses = CsvLog(run.log, columns, start_step)
        self._alphas = (
            CsvLog(run.alphas, [q.name for q in quantizers], start_step) if quantizers else None
        )
        self._summary = tf.summary.create_file_writer(os.fsencode(run.tensorboard))
        # A run that was killed before its second checkpoint has the row of step 0 already.
        if self._alphas is not None and self._alphas.empty:
            self._write_alphas()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        if not all(math.isfinite(value) for value in logs.values()):
            raise InputError(
                f"{self._run.path}: the loss is {logs.get('loss')} at step {self.step + 1}; the "
                "training has diverged. The last checkpoint is intact: lower the learning rate "
                "and start a run under another --name"
            )
        self.step += 1
        self._progress.update(self.step, logs.items())
        if self.step % self._log_every == 0:
            rate = float(keras.ops.convert_to_numpy(self._optimizer.learning_rate))
            self.write({**logs, "learning_rate": rate})
            self._write_alphas()
            # So that each row is the mean since the previous row.
            for metric in self.model.metrics:
                metric.reset_state()

    def write(self, values: Mapping[str, float]) -> None:
        """Write a row of log.csv, and the same scalars for TensorBoard, at the current step."""
        self._losses.write(self.step, values)
        with self._summary.as_default(step=self.step):
            for key, value in values.items():
                tf.summary.scalar(key, value)
        self._summary.flush()

    def _write_alphas(self) -> None:
        if self._alphas is None:
            return
        alphas = {q.name: float(q.alpha) for q in self._quantizers}
        self._alphas.write(self.step, alphas)
        with self._summary.as_default(step=self.step):
            for name, alpha in alphas.items():
                tf.summary.scalar(f"alpha/{name}", alpha)
