"""Writes the reports of the wanted tables and figures, from everything that is finished."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pams_tf.reporting.machine import machine
from pams_tf.reproduce import tables
from pams_tf.reproduce.costs import steps_done
from pams_tf.reproduce.figures import Drawing
from pams_tf.reproduce.networks import Given, Job, Network, with_teachers
from pams_tf.reproduce.plan import Say
from pams_tf.reproduce.report import fill, write_figure, write_table
from pams_tf.reproduce.selection import Selection
from pams_tf.reproduce.storage import table_3
from pams_tf.training.checkpoints import saved_state


def write_reports(
    selection: Selection, folder: Path, *, command: str, failed: Mapping[str, str], say: Say
) -> list[Path]:
    """Write the reports from everything that is finished, tables first.

    Args:
      selection: what to report.
      folder: folder for the reports.
      command: the command as typed.
      failed: runs that failed -> reasons.
      say: called with each line of progress.

    Returns:
      The files.

    Raises:
      InputError: the folder cannot be written.
    """
    context = partial(_context, selection, command, failed)
    files = []
    all_tables = [
        *selection.tables,
        *([table_3(selection.catalogue, say)] if selection.storage else []),
    ]
    for table in sorted(all_tables, key=lambda table: table.number):
        ours = fill(table, selection.result)
        made = context(table.networks, measured=table.number in tables.MEASURED)
        files += write_table(folder, table, ours, made)
    for number, figure in selection.figures.items():
        networks = [network for _, network in figure.networks(selection.catalogue)]
        jobs = with_teachers(networks)
        if absent := [job.name for job in jobs if not job.done]:
            say(f"Figure {number} is not drawn: {', '.join(absent)} did not finish")
            continue
        drawing = Drawing(selection.catalogue, selection.measurements, folder)
        pictures, notes = figure.draw(drawing)
        made = context(networks, measured=False)
        page = write_figure(folder, number, figure.title, pictures, notes, made)
        files += [*pictures, page]
    return files


def _context(
    selection: Selection,
    command: str,
    failed: Mapping[str, str],
    networks: Sequence[Network | None],
    *,
    measured: bool,
) -> dict[str, Any]:
    """The information in a report on how it was made from these networks."""
    jobs = with_teachers(networks)
    teachers = [job.teacher for job in jobs]
    given = sorted({n.name for n in (*networks, *teachers) if isinstance(n, Given)})
    data = selection.catalogue.data
    benchmarks = selection.measurements.benchmarks
    return {
        "command": command,
        "machine": machine(),
        "budget": selection.catalogue.budget.to_dict(),
        "data": Path(data).name if data else "the built-in photographs",
        "sets": list(benchmarks.names) if measured else [],
        "missing_sets": list(benchmarks.missing) if measured else [],
        "failed": {j.name: failed[j.name] for j in jobs if j.name in failed},
        "given": given,
        "runs": [_outcome(job) for job in jobs],
    }


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
