"""Carries out a reproduction: plan, estimate, train what is missing, measure, write reports."""

import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from pams_tf.errors import BusyError, InputError
from pams_tf.files import check_writable
from pams_tf.reporting.machine import machine
from pams_tf.reproduce import tables
from pams_tf.reproduce.costs import (
    Speed,
    check_disk,
    duration,
    gigabytes,
    lr_pixels,
    steps_done,
)
from pams_tf.reproduce.figures import FIGURES, Drawing, picture_set
from pams_tf.reproduce.measure import Measurements
from pams_tf.reproduce.networks import Catalogue, Given, Job, Network, with_teachers
from pams_tf.reproduce.report import fill, write_figure, write_table
from pams_tf.reproduce.storage import table_3
from pams_tf.runs import RunFolder
from pams_tf.training.checkpoints import saved_state
from pams_tf.training.jobs import distil, train
from pams_tf.training.settings import DistillationSettings, TrainingSettings

Say = Callable[[str], None]


def needs_sets(wanted_tables: Sequence[int], wanted_figures: Sequence[int]) -> bool:
    """Whether anything is measured on a benchmark."""
    return any(number in tables.MEASURED for number in wanted_tables) or any(
        FIGURES[number].measured for number in wanted_figures
    )


class Reproduction:
    """Tables and figures under one budget.

    Args:
      catalogue: provides the networks.
      measurements: measures the networks and keeps the results.
      wanted_tables, wanted_figures: numbers of the tables and figures.
      command: the command as typed, for the reports.
      say: called with each line of progress.

    Raises:
      InputError: there are runs to train, but no images for the budget.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        measurements: Measurements,
        wanted_tables: Sequence[int],
        wanted_figures: Sequence[int] = (),
        *,
        command: str = "",
        say: Say = lambda line: None,
    ) -> None:
        self.catalogue = catalogue
        self.measurements = measurements
        self.command = command
        self.say = say
        self.failed: dict[str, str] = {}
        self.tables = [
            tables.MEASURED[number](catalogue)
            for number in wanted_tables
            if number in tables.MEASURED
        ]
        self.storage = 3 in wanted_tables
        self.figures = {number: FIGURES[number] for number in wanted_figures}
        self.wanted = self._wanted()
        drawn = [n for figure in self.figures.values() for _, n in figure.networks(catalogue)]
        self.jobs = with_teachers([*(network for network, _ in self.wanted), *drawn])
        self.speed = Speed(catalogue.runs / "speed.json")
        if self.unfinished and not (catalogue.data or catalogue.budget.own_images):
            raise InputError(
                f"the {catalogue.budget.name} budget trains {len(self.unfinished)} runs and needs "
                "--data, a folder of training images; only smoke has images built in"
            )

    @property
    def unfinished(self) -> list[Job]:
        """The unfinished runs, teachers first."""
        return [job for job in self.jobs if not job.done]

    def make(self, folder: Path, *, progress: bool = False) -> dict[str, Any]:
        """Plan, train, measure and write the reports.

        Args:
          folder: folder for the reports.
          progress: whether to show progress bars.

        Returns:
          `plan`, `files`, and `failed`, which maps runs to reasons.

        Raises:
          InputError: as in `plan`; another process is training in the folder of runs; or a report
            cannot be written.
        """
        check_writable(folder)
        # Without a lock, finished runs can be read while another process trains others.
        with _alone(self.catalogue.runs) if self.unfinished else contextlib.nullcontext():
            plan = self.plan()
            self.train(progress=progress)
        self.measure(progress=progress)
        files = self.write(folder)
        return {"plan": plan, "files": [str(file) for file in files], "failed": self.failed}

    def plan(self) -> dict[str, Any]:
        """Print what will be done and how long it will take, and check the free disk space.

        Returns:
          The plan: `runs` with name, steps, finished steps, state and seconds; total `seconds`.

        Raises:
          InputError: too little disk space, or unusable images.
        """
        todo = self.unfinished
        needed = check_disk(todo, self.catalogue.runs)
        if untimed := self.speed.untimed(todo):
            self.say(f"Timing a few steps of {untimed} kinds of runs, for the estimate")
        runs = []
        for index, job in enumerate(self.jobs, 1):
            seconds = self.speed.training_seconds(job)
            runs.append(
                {
                    "name": job.name,
                    "model": job.settings.model,
                    "recipe": job.recipe.to_dict() if job.recipe else None,
                    "steps": job.settings.steps,
                    "steps_done": steps_done(job),
                    "state": job.state,
                    "seconds": seconds,
                }
            )
            kind = f"{job.recipe.method}, {job.recipe.bits} bits" if job.recipe else "float"
            time_left = "" if job.done else f", about {duration(seconds)}"
            self.say(
                f"  {index:2} {job.name}: {job.settings.model} x{job.scale}, {kind}, "
                f"{steps_done(job)} of {job.settings.steps} steps, {job.state}{time_left}"
            )
        measuring = self._unmeasured()
        if not todo and not measuring:
            self.say("Nothing to train and nothing to measure, only reports to write")
            return {"runs": runs, "measurements": 0, "seconds": 0.0, "bytes": needed}
        seconds = sum(map(self.speed.training_seconds, self.jobs)) + sum(
            self.speed.measuring_seconds(network, lr_pixels(self._pairs(network, name)))
            for network, name in measuring
        )
        self.say(
            f"{len(todo)} of {len(self.jobs)} runs to train and {len(measuring)} measurements to "
            f"make: about {duration(seconds)}, an estimate from steps timed on this machine; "
            f"{gigabytes(sum(needed.values()))} of disk at most"
        )
        return {"runs": runs, "measurements": len(measuring), "seconds": seconds, "bytes": needed}

    def train(self, *, progress: bool = False) -> None:
        """Train the missing runs, and continue those that were interrupted.

        A run that fails does not stop the others; see `failed`.
        """
        for index, job in enumerate(self.jobs, 1):
            if job.done:
                continue
            left = sum(self.speed.training_seconds(j) for j in self.unfinished)
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
        todo = self._unmeasured()
        for index, (network, name) in enumerate(todo, 1):
            if isinstance(network, Job) and not network.done:
                continue
            self.say(f"[{index}/{len(todo)}] measuring {network.name} on {name}")
            self.measurements.result(network, name, progress=progress)

    def write(self, folder: Path) -> list[Path]:
        """Write the reports from everything that is finished, tables first.

        Returns:
          The files.

        Raises:
          InputError: the folder cannot be written.
        """
        files = []
        all_tables = [*self.tables, *([table_3(self.catalogue, self.say)] if self.storage else [])]
        for table in sorted(all_tables, key=lambda table: table.number):
            ours = fill(table, self._figures)
            context = self._context(table.networks, measured=table.number in tables.MEASURED)
            files += write_table(folder, table, ours, context)
        for number, figure in self.figures.items():
            networks = [network for _, network in figure.networks(self.catalogue)]
            jobs = with_teachers(networks)
            if absent := [job.name for job in jobs if not job.done]:
                self.say(f"Figure {number} is not drawn: {', '.join(absent)} did not finish")
                continue
            drawing = Drawing(self.catalogue, self.measurements, folder)
            pictures, notes = figure.draw(drawing)
            context = self._context(networks, measured=False)
            page = write_figure(folder, number, figure.title, pictures, notes, context)
            files += [*pictures, page]
        return files

    def _context(self, networks: Sequence[Network | None], *, measured: bool) -> dict[str, Any]:
        """The information in a report on how it was made from these networks."""
        jobs = with_teachers(networks)
        teachers = [job.teacher for job in jobs]
        given = sorted({n.name for n in (*networks, *teachers) if isinstance(n, Given)})
        data = self.catalogue.data
        benchmarks = self.measurements.benchmarks
        return {
            "command": self.command,
            "machine": machine(),
            "budget": self.catalogue.budget.to_dict(),
            "data": Path(data).name if data else "the built-in photographs",
            "sets": list(benchmarks.names) if measured else [],
            "missing_sets": list(benchmarks.missing) if measured else [],
            "failed": {j.name: self.failed[j.name] for j in jobs if j.name in self.failed},
            "given": given,
            "runs": [_outcome(job) for job in jobs],
        }

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

    def _wanted(self) -> list[tuple[Network, str]]:
        """The (network, set) pairs to measure, without duplicates; untrained networks first."""
        names = self.measurements.benchmarks.names
        pairs = [
            (network, cell.benchmark)
            for table in self.tables
            for section in table.sections
            for cell in section.cells
            for network in (cell.of, cell.minus)
        ]
        for figure in self.figures.values():
            if figure.measured:
                name = picture_set(self.measurements)
                pairs += [(network, name) for _, network in figure.networks(self.catalogue)]
        unique = {
            (network.name, name): (network, name)
            for network, name in pairs
            if network is not None and name in names
        }
        return sorted(unique.values(), key=lambda pair: isinstance(pair[0], Job))

    def _unmeasured(self) -> list[tuple[Network, str]]:
        return [
            (network, name)
            for network, name in self.wanted
            if self.measurements.kept(network, name) is None
        ]

    def _figures(self, network: Network, name: str) -> dict[str, Any] | None:
        if name not in self.measurements.benchmarks.names:
            return None
        return self.measurements.kept(network, name)

    def _pairs(self, network: Network, name: str) -> Any:
        return self.measurements.benchmarks.pairs(name, network.scale)


def _outcome(job: Job) -> dict[str, Any]:
    state = saved_state(job.run.best) if job.done and job.run.best.is_file() else {}
    return {
        "name": job.name,
        "settings": {
            key: Path(value).name if key in ("data", "valid_data", "teacher") and value else value
            for key, value in job.settings.to_dict().items()
        },
        "recipe": job.recipe.to_dict() if job.recipe else None,
        "state": job.state,
        "steps": steps_done(job),
        "best_step": state.get("best_step"),
        "best_psnr": state.get("best_psnr"),
    }


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
