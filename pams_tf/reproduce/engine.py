"""Carries out a reproduction: plan, train what is missing, measure, write reports."""

import contextlib
import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from pams_tf.errors import BusyError, InputError
from pams_tf.files import check_writable
from pams_tf.reproduce.costs import Speed, duration, steps_done
from pams_tf.reproduce.networks import Job
from pams_tf.reproduce.plan import Say, make_plan
from pams_tf.reproduce.selection import Selection
from pams_tf.reproduce.writer import write_reports
from pams_tf.runs import RunFolder
from pams_tf.training.jobs import distil, train
from pams_tf.training.settings import DistillationSettings, TrainingSettings


class Reproduction:
    """The wanted tables and figures, made under one budget.

    Args:
      selection: what is wanted.
      command: the command as typed, for the reports.
      say: called with each line of progress.
    """

    def __init__(
        self, selection: Selection, *, command: str = "", say: Say = lambda line: None
    ) -> None:
        self.selection = selection
        self.jobs = selection.jobs
        self.command = command
        self.say = say
        self.failed: dict[str, str] = {}
        self.speed = Speed(selection.catalogue.runs / "speed.json")

    def make(self, folder: Path, *, progress: bool = False) -> dict[str, Any]:
        """Plan, train, measure and write the reports.

        Args:
          folder: folder for the reports.
          progress: whether to show progress bars.

        Returns:
          `plan`, `files`, and `failed`, which maps runs to reasons.

        Raises:
          InputError: too little disk space or unusable images; another process is training in the
            folder of runs; or a report cannot be written.
        """
        check_writable(folder)
        # Without a lock, finished runs can be read while another process trains others.
        with (
            _alone(self.selection.catalogue.runs)
            if self.selection.unfinished
            else contextlib.nullcontext()
        ):
            plan = self.plan()
            self.train(progress=progress)
        self.measure(progress=progress)
        files = write_reports(
            self.selection, folder, command=self.command, failed=self.failed, say=self.say
        )
        return {"plan": plan, "files": [str(file) for file in files], "failed": self.failed}

    def plan(self) -> dict[str, Any]:
        """Print the plan; see `make_plan`."""
        return make_plan(self.selection, self.speed, self.say)

    def train(self, *, progress: bool = False) -> None:
        """Train the missing runs, and continue those that were interrupted.

        A run that fails does not stop the others; see `failed`.
        """
        for index, job in enumerate(self.jobs, 1):
            if job.done:
                continue
            left = sum(self.speed.training_seconds(j) for j in self.selection.unfinished)
            self.say(
                f"[{index}/{len(self.jobs)}] {job.name}, from step {steps_done(job)} of "
                f"{job.settings.steps}; about {duration(left)} of training left"
            )
            try:
                self._train(job, progress)
            except InputError as error:
                self.failed[job.name] = str(error)
                self.say(f"{job.name} has failed: {error}")

    def measure(self, *, progress: bool = False) -> None:
        """Measure the finished networks on the available sets."""
        todo = self.selection.unmeasured
        for index, (network, name) in enumerate(todo, 1):
            if isinstance(network, Job) and not network.done:
                continue
            self.say(f"[{index}/{len(todo)}] measuring {network.name} on {name}")
            self.selection.measurements.result(network, name, progress=progress)

    def _train(self, job: Job, progress: bool) -> None:
        if isinstance(job.teacher, Job) and not job.teacher.done:
            raise InputError(f"its teacher {job.teacher.name} is not finished")
        before, start = steps_done(job), time.perf_counter()
        if job.recipe:
            assert isinstance(job.settings, DistillationSettings)
            distil(job.settings, job.recipe, job.run, progress=progress)
        else:
            assert isinstance(job.settings, TrainingSettings)
            train(job.settings, job.run, progress=progress)
        self.speed.learn(job, job.settings.steps - before, time.perf_counter() - start)
        # The graphs of one run are useless for the next.
        keras.backend.clear_session()
        gc.collect()


@contextlib.contextmanager
def _alone(runs: Path) -> Iterator[None]:
    """Lock the folder of runs against a second reproduction."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(RunFolder(runs).lock())
        except BusyError:
            raise InputError(
                f"{runs}: another process is training there; wait for it to finish, or choose "
                "another --runs"
            ) from None
        yield
