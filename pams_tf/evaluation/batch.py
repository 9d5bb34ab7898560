"""Upscaling many picture files, one after another or several at once, each in its own process."""

import dataclasses
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from pams_tf import backend, locate
from pams_tf.data.pictures import check_format, read_picture, write_picture
from pams_tf.errors import InputError
from pams_tf.evaluation.upscaler import Upscaler, upscale_picture

Entry = dict[str, Any]
"""What came of one picture, in JSON types: the files, sizes and notes, or "error"."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """What applies to every picture of a batch.

    Attributes:
      model, scale, halo, threads: see `Upscaler`.
      existing: what to do where a result exists: "error", "skip" or "overwrite".
      originals: `identity` of the inputs, which are never overwritten.
    """

    model: str
    scale: int | None
    halo: int | None
    threads: int | None
    existing: str
    originals: frozenset[tuple[int, int]]

    def upscaler(self) -> Upscaler:
        """The model, ready to run.

        Raises:
          InputError: see `Upscaler`.
        """
        return Upscaler(self.model, scale=self.scale, halo=self.halo, num_threads=self.threads)


def enlarged(
    source: Path,
    target: Path,
    batch: Batch,
    upscaler: Upscaler,
    progress: Callable[[int, int], None] | None = None,
) -> Entry:
    """Read, upscale and write one picture. What goes wrong is in the result, as one line."""
    try:
        return _enlarged(source, target, batch, upscaler, progress)
    except (InputError, MemoryError) as error:
        return _failed(source, error)


def in_parallel(
    pairs: Sequence[tuple[Path, Path]], batch: Batch, jobs: int
) -> Generator[tuple[int, Entry]]:
    """Upscale pictures in `jobs` processes, each with a model of its own.

    No process has more than one picture in memory. If the iterator is closed, the processes give
    up their pictures and leave nothing behind.

    Args:
      pairs: source and target of each picture.
      batch: with the threads of one process.

    Yields:
      The place of a picture among `pairs`, and what came of it, as soon as it is done. All that is
      left is an error if the system ends a process.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy threads that hold locks
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(jobs, context, initializer=_start, initargs=(batch,))
    try:
        futures: dict[Future[Entry], int] = {
            executor.submit(_work, *pair): place for place, pair in enumerate(pairs)
        }
        for future in as_completed(futures):
            place = futures[future]
            try:
                entry = future.result()
            except BrokenProcessPool:
                entry = _failed(pairs[place][0], InputError(_ENDED))
            yield place, entry
    except BaseException:
        children = set(multiprocessing.active_children()) - others
        for child in children:
            child.terminate()
        for child in children:
            child.join(_PATIENCE)
            child.kill()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


_PATIENCE = 10.0  # seconds for a process to give up its picture
_ENDED = (
    "not done, because the system ended a process, as it does when memory runs out; give fewer "
    "--jobs, and --existing=skip to go on"
)


class _Process:
    """The state of a process of `in_parallel`."""

    batch: Batch
    upscaler: Upscaler
    at_work = False
    ended = False


def _start(batch: Batch) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first process
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    if batch.model != locate.BICUBIC and locate.model_file(batch.model).suffix == ".keras":
        backend.load_tensorflow()
    _Process.batch, _Process.upscaler = batch, batch.upscaler()


def _end(*_: object) -> None:
    """Leave the picture in work, which removes its unfinished file, and end the process."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would disturb the removal
    _Process.ended = True
    if _Process.at_work:
        sys.exit(1)  # as far as `_work`
    os._exit(1)  # silently, from wherever a process waits


def _end_with_the_first() -> None:
    """However hard the first process is killed, no other one is left waiting for its next task."""
    first = multiprocessing.parent_process()
    if first is not None:
        first.join()
        os._exit(1)


def _work(source: Path, target: Path) -> Entry:
    try:
        _Process.at_work = True
        return enlarged(source, target, _Process.batch, _Process.upscaler)
    finally:
        _Process.at_work = False
        if _Process.ended:
            # Nobody waits for a result, and a process that has ended may hold the lock of their
            # queue for ever.
            os._exit(1)


def _enlarged(
    source: Path,
    target: Path,
    batch: Batch,
    upscaler: Upscaler,
    progress: Callable[[int, int], None] | None,
) -> Entry:
    if target.exists():
        if identity(target) in batch.originals:
            raise InputError(f"{target} is itself one of the inputs; choose another --out")
        if batch.existing == "skip":
            return {"input": str(source), "output": str(target), "skipped": True}
        if batch.existing == "error":
            raise InputError(
                f"{target} exists; give --existing skip, --existing overwrite or another --out"
            )
    begun = time.perf_counter()
    picture = read_picture(source)
    height, width = picture.rgb.shape[:2]
    sides = (height * upscaler.scale, width * upscaler.scale)
    check_format(target, *sides, alpha=picture.transparent)
    lost = write_picture(target, upscale_picture(picture, upscaler, progress))
    return {
        "input": str(source),
        "output": str(target),
        "input_size": [height, width],
        "output_size": list(sides),
        "seconds": round(time.perf_counter() - begun, 3),
        "notes": [*picture.notes, *lost],
    }


def _failed(source: Path, error: Exception) -> Entry:
    """An entry with a one-line message that names the picture."""
    if isinstance(error, MemoryError):
        reason = f"{source}: too large for this machine's memory; cut it into parts"
    else:
        reason = " ".join(str(error).split())
        if not reason.startswith(str(source)):
            reason = f"{source}: {reason}"
    return {"input": str(source), "error": reason}


def identity(path: str | os.PathLike[str]) -> tuple[int, int]:
    """An identifier of a file that does not depend on its name."""
    status = os.stat(path)
    return status.st_dev, status.st_ino
