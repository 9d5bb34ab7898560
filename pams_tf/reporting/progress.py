"""Progress bars on standard error, all in one style; hidden if it is not a terminal."""

import contextlib
import math
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")


def progress_bar(*columns: ProgressColumn, visible: bool = True) -> Progress:
    """A bar to use as a context manager; add tasks to it as to any `rich` progress bar.

    It disappears at the end. Output that a command writes to a file or a pipe is not affected.

    Args:
      *columns: shown after the bar; by default the number of finished items and the time left.
      visible: False hides the bar. It is always hidden if standard error is not a terminal.
    """
    # Not what FORCE_COLOR claims: Jupyter sets it, and a notebook would store every state of a bar.
    console = Console(stderr=True, force_terminal=sys.stderr.isatty())
    return _Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *(columns or (MofNCompleteColumn(), TimeRemainingColumn(compact=True))),
        console=console,
        transient=True,
        disable=not (visible and console.is_terminal),
        redirect_stdout=sys.stdout.isatty(),
    )


class _Progress(Progress):
    """Prints nothing where it is disabled; older `rich` prints an empty line at the end."""

    def stop(self) -> None:
        if not self.disable:
            super().stop()


def tracked(items: Sequence[Item], description: str, *, visible: bool = True) -> Iterator[Item]:
    """Yield the items one by one, with a bar that shows how many are done."""
    with progress_bar(visible=visible) as bar:
        yield from bar.track(items, description=description)


_EVERY = 10.0
"""Seconds between lines, where there is no terminal."""
_CHECK = 1.0
_last_line = 0.0


def say(line: str) -> None:
    """Print a line to standard output at once."""
    global _last_line
    _last_line = time.monotonic()
    print(line, flush=True)


@contextlib.contextmanager
def signs_of_life() -> Iterator[None]:
    """A block in which a line says every ten seconds that work goes on, if nothing else is said.

    On a terminal there are none: a bar shows it.
    """
    if sys.stdout.isatty():
        yield
        return
    begun = time.monotonic()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_CHECK):
            if time.monotonic() - _last_line > _EVERY + 2:
                say(f"     at work for {time.monotonic() - begun:.0f} s")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


class StepProgress:
    """The progress of a training run: a bar with the losses, and one line per validation.

    The lines go to standard output and stay there, above the bar on a terminal, or in a log file.
    Where there is no bar, there are lines with the losses: one every ten seconds, and fewer as a
    run gets longer.

    Args:
      title: title of the bar.
      steps: number of steps of the whole run.
      start_step: the step at which this process starts.
      visible: False hides everything.
    """

    def __init__(self, title: str, steps: int, start_step: int, *, visible: bool) -> None:
        self._visible = visible
        self._steps = steps
        self._first = start_step
        self._begun = time.monotonic()
        self._bar = progress_bar(
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", markup=False),
            visible=visible,
        )
        self._task = self._bar.add_task(title, total=steps, completed=start_step, note="")

    def __enter__(self) -> "StepProgress":
        self._begun = time.monotonic()
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, step: int, losses: Iterable[tuple[str, float]]) -> None:
        """Show that `step` steps are done, with the current losses."""
        note = "  ".join(f"{name} {value:.4g}" for name, value in losses)
        self._bar.update(self._task, completed=step, note=note)
        now = time.monotonic()
        if self._bar.disable and now - _last_line > max(_EVERY, (now - self._begun) / 30):
            self._print(step, note)

    def validated(self, step: int, psnr: float) -> None:
        """Print the validation PSNR (dB) of one checkpoint, and the time left at this pace."""
        self._print(step, f"validation {psnr:.3f} dB")

    def _print(self, step: int, said: str) -> None:
        """Print a line, with the time left at this pace."""
        if not self._visible:
            return
        left = ""
        if self._first < step < self._steps:
            seconds = (time.monotonic() - self._begun) / (step - self._first)
            left = f", {duration(seconds * (self._steps - step))} left"
        say(f"step {step} of {self._steps}: {said}{left}")


def duration(seconds: float) -> str:
    """ "50 s", "12 min" or "3 h 20 min"."""
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
