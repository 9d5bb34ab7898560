"""Child processes that try one input after another, and what became of each.

Starting Python with TensorFlow takes seconds, so a child serves many inputs. It may crash or hang:
the parent knows which input it had, and starts another child.
"""

import contextlib
import dataclasses
import faulthandler
import hashlib
import importlib
import multiprocessing
import os
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import numpy as np

OUTCOMES = (
    *("result", "refusal"),
    *("untidy", "traceback", "signal", "hang", "memory", "half-written"),
)
"""What may become of an input; only the first two should."""
MOST_MEMORY = 2 << 30
"""Bytes that a child may take, with TensorFlow in it."""
MOST_SECONDS = 600.0
"""A child that does not answer for so long hangs: many times what the slowest input takes."""
INPUTS_A_CHILD = 250
"""A child is replaced after so many, since TensorFlow keeps every graph."""
OUT = "out"
"""The folder in that of an input in which results may appear, and nowhere else."""


class Task(NamedTuple):
    """One input: a module of `inputs`, and a number that with the seed gives the input."""

    kind: str
    number: int
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one input: `what` is one of OUTCOMES, `said` the proof of it."""

    task: Task
    what: str
    said: str
    seconds: float
    memory: int = 0


def try_all(
    tasks: Sequence[Task],
    folder: Path,
    *,
    children: int = 1,
    seconds: float = MOST_SECONDS,
    memory: int = MOST_MEMORY,
    keep: bool = False,
    package: str = "inputs",
) -> Iterator[Outcome]:
    """Try every input in one of several children; yields each outcome as it is there.

    Args:
      tasks: the inputs.
      folder: for the sound files and the inputs; an input that went well is removed again.
      children: the number of processes.
      seconds: without an answer for so long, a child is killed.
      memory: the bytes that a child may take.
      keep: keep all inputs.
      package: the package whose modules make the inputs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kinds = sorted({task.kind for task in tasks})
    with _Child(package, folder, seconds, memory) as child:
        for kind in kinds:
            child.ask(Task(kind, -1))  # makes the sound files
    done: SimpleQueue[Outcome | BaseException] = SimpleQueue()
    waiting: SimpleQueue[Task | None] = SimpleQueue()
    for task in (*tasks, *[None] * children):
        waiting.put(task)

    def serve() -> None:
        try:
            with _Child(package, folder, seconds, memory) as child:
                while (task := waiting.get()) is not None:
                    outcome = child.ask(task)
                    if not keep and outcome.what in OUTCOMES[:2]:
                        shutil.rmtree(_place(folder, task), ignore_errors=True)
                    done.put(outcome)
        except BaseException as error:
            done.put(error)
            raise

    with ThreadPoolExecutor(children) as pool:
        for _ in range(children):
            pool.submit(serve)
        try:
            for _ in tasks:
                outcome = done.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                yield outcome
        finally:  # nobody waits for the others
            with contextlib.suppress(Empty):
                while True:
                    waiting.get_nowait()
            for _ in range(children):
                waiting.put(None)


class _Child:
    """A process that is started when it is needed and replaced when it has ended."""

    def __init__(self, package: str, folder: Path, seconds: float, memory: int) -> None:
        self._package, self._folder, self._seconds, self._memory = package, folder, seconds, memory
        self._process: Any = None
        self._served = 0

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask(self, task: Task) -> Outcome:
        if self._process is None or self._served >= INPUTS_A_CHILD:
            self._start()
        begun = time.monotonic()
        self._connection.send(task)
        self._served += 1
        what, said = "hang", f"no answer for {self._seconds:g} s"
        if self._connection.poll(self._seconds):
            try:
                answer = self._connection.recv()
                if isinstance(answer, str):
                    raise RuntimeError(f"{task.kind}:{task.number} cannot be tried:\n{answer}")
                return answer
            except (EOFError, ConnectionError):
                self._process.join()
                what, said = "signal", f"exit code {self._process.exitcode}: {self._last_words()}"
        self._end()
        if task.number < 0:
            raise RuntimeError(f"the sound files of {task.kind} cannot be made: {said}")
        return Outcome(task, what, said, time.monotonic() - begun)

    @property
    def _log(self) -> Path:
        return _log_of(self._process.pid, self._folder)

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-1500:] if self._log.exists() else ""

    def _start(self) -> None:
        self._end()
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, self._package, self._folder, self._memory), daemon=True
        )
        self._process.start()
        other.close()
        self._served = 0

    def _end(self) -> None:
        if self._process is not None:
            self._connection.close()
            self._process.kill()
            self._process.join()
            self._log.unlink(missing_ok=True)
            self._process = None


def _place(folder: Path, task: Task) -> Path:
    return folder / f"{task.kind}_{task.number}"


def _log_of(process: int, folder: Path) -> Path:
    """Where a child's standard error goes; the parent reads it when the child has ended."""
    return folder / f"{process}.log"


# --- In the child --------------------------------------------------------------------------------


def _serve(connection: Connection, package: str, folder: Path, most: int) -> None:
    log = _log_of(os.getpid(), folder)
    os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)  # as a user has it
    # So that a file of many gigabytes ends in a MemoryError and not in the kernel's choice.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (16 << 30, resource.RLIM_INFINITY))
    with log.open("w+b", buffering=0) as errors, tempfile.TemporaryFile(buffering=0) as output:
        faulthandler.enable(errors)
        os.dup2(output.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                task = connection.recv()
                try:
                    answer = _try(task, package, folder, most, (output, errors))
                except Exception:  # of the fuzzer itself
                    answer = traceback.format_exc()
                connection.send(answer)


def _try(task: Task, package: str, folder: Path, most: int, streams: Sequence[Any]) -> Outcome:
    kind = importlib.import_module(f"{package}.{task.kind}")
    originals = folder / "sound" / task.kind
    if task.number < 0:
        if not originals.exists():
            originals.mkdir(parents=True)
            kind.prepare(originals)
        return Outcome(task, "result", "", 0.0)
    place = _place(folder, task)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    digits = int.from_bytes(hashlib.sha256(task.kind.encode()).digest()[:4], "big")
    rng = np.random.default_rng([task.seed, digits, task.number])
    os.chdir(place)
    begun = time.monotonic()
    attempt: Callable[[], int] = kind.make(rng, originals)
    before = _tree(place)
    _forget_peak()
    for stream in streams:
        stream.seek(0)
        stream.truncate()
    try:
        status, raised = attempt(), ""
    except BaseException:
        status, raised = 1, traceback.format_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    for stream in streams:
        stream.seek(0)
    shown, printed = (stream.read().decode(errors="replace") for stream in streams)
    memory = _peak()
    if raised:
        what, said = "traceback", raised
    elif memory > most:
        what, said = "memory", f"{memory / 2**30:.1f} GB; {printed[-500:]}"
    else:
        what, said = _judged(kind, status, shown, printed, before, place)
    os.chdir(folder)
    return Outcome(task, what, said, time.monotonic() - begun, memory)


def _judged(
    kind: Any, status: int, shown: str, printed: str, before: dict[str, str], place: Path
) -> tuple[str, str]:
    after = _tree(place)
    given = [name for name in before if Path(name).parts[0] != OUT]
    if wrong := [name for name in given if after.get(name) != before[name]]:
        return "half-written", f"changed or gone: {wrong}"
    if left := [name for name in after if Path(name).name.startswith(".") and name not in before]:
        return "half-written", f"left over: {left}"
    new = [name for name in after if name not in before]
    if strays := [name for name in new if Path(name).parts[0] != OUT]:
        return "half-written", f"outside of {OUT}: {strays}"
    if status and new and not getattr(kind, "GOES_ON", False):
        return "half-written", f"beside the refusal: {new}"
    try:
        kind.check(place, status)
    except Exception:
        return "half-written", traceback.format_exc()
    if re.search("[\x00-\x08\x0b-\x1f\x7f]|Traceback|Warning:", shown + printed):
        return "untidy", shown + printed
    if status and not 1 <= len(printed.strip().splitlines()) <= getattr(kind, "MOST_LINES", 1):
        return "untidy", printed
    return ("refusal" if status else "result"), printed


def _tree(place: Path) -> dict[str, str]:
    """The files below a folder with digests of what they hold."""
    found = {}
    for path in sorted(place.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                found[str(path.relative_to(place))] = hashlib.file_digest(file, "md5").hexdigest()
    return found


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """The most memory since `_forget_peak`, in bytes; on other systems than Linux of the process.

    There `resource` has it, in bytes on macOS.
    """
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) << 10  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def new_folder() -> str:
    """A folder for the inputs, where the system has such."""
    return tempfile.mkdtemp(prefix="fuzz.")
