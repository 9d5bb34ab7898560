"""The plan of a reproduction: what will be trained and measured, and how long that takes."""

from collections.abc import Callable
from typing import Any

from pams_tf.reproduce.costs import (
    Speed,
    check_disk,
    duration,
    gigabytes,
    lr_pixels,
    steps_done,
)
from pams_tf.reproduce.selection import Selection

Say = Callable[[str], None]


def make_plan(selection: Selection, speed: Speed, say: Say) -> dict[str, Any]:
    """Print what will be done and how long it will take, and check the free disk space.

    Args:
      selection: what to make.
      speed: estimates the time; it trains a few steps of kinds of runs that it has not timed.
      say: called with each line.

    Returns:
      The plan: `runs` with name, steps, finished steps, state and seconds; total `seconds`.

    Raises:
      InputError: too little disk space, or unusable images.
    """
    todo = selection.unfinished
    needed = check_disk(todo, selection.catalogue.runs)
    if untimed := speed.untimed(todo):
        say(f"Timing a few steps of {untimed} kinds of runs, for the estimate")
    runs = []
    for index, job in enumerate(selection.jobs, 1):
        seconds = speed.training_seconds(job)
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
        say(
            f"  {index:2} {job.name}: {job.settings.model} x{job.scale}, {kind}, "
            f"{steps_done(job)} of {job.settings.steps} steps, {job.state}{time_left}"
        )
    measuring = selection.unmeasured
    if not todo and not measuring:
        say("Nothing to train and nothing to measure, only reports to write")
        return {"runs": runs, "measurements": 0, "seconds": 0.0, "bytes": needed}
    benchmarks = selection.measurements.benchmarks
    seconds = sum(map(speed.training_seconds, selection.jobs)) + sum(
        speed.measuring_seconds(network, lr_pixels(benchmarks.pairs(name, network.scale)))
        for network, name in measuring
    )
    say(
        f"{len(todo)} of {len(selection.jobs)} runs to train and {len(measuring)} measurements to "
        f"make: about {duration(seconds)}, an estimate from steps timed on this machine; "
        f"{gigabytes(sum(needed.values()))} of disk at most"
    )
    return {"runs": runs, "measurements": len(measuring), "seconds": seconds, "bytes": needed}
