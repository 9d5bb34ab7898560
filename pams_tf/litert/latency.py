"""Latency of .tflite files on this machine's CPU."""

import dataclasses
import os
import time

import numpy as np

from pams_tf.errors import InputError
from pams_tf.litert.interpreter import ImageInterpreter


@dataclasses.dataclass(frozen=True)
class LatencyResult:
    """Inference times of one file, without writing the input and reading the output.

    Attributes:
      runs: number of timed runs.
      median_ms, p90_ms, min_ms: median, 90th percentile and minimum, in milliseconds.
      input_shape: (1, h, w, 3), the file's own input size.
    """

    runs: int
    median_ms: float
    p90_ms: float
    min_ms: float
    input_shape: tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True)
class PairedLatency:
    """Times of two files that were run alternately.

    Attributes:
      a, b: the times of each file.
      ratio: the median over the rounds of b's time divided by a's; above 1, b is slower. A machine
        that slows down for a while slows both sides of a round, so this is more stable than the
        ratio of the medians.
    """

    a: LatencyResult
    b: LatencyResult
    ratio: float


def tflite_latency(
    path_or_bytes: str | os.PathLike[str] | bytes,
    *,
    num_threads: int = 2,
    warmup: int = 2,
    seconds: float = 3.0,
    min_runs: int = 5,
) -> LatencyResult:
    """Time a file on a random image (seeded) of its own input size.

    Args:
      path_or_bytes: the .tflite file, or its content.
      num_threads: number of threads.
      warmup: number of untimed runs at the start.
      seconds: how long to keep timing runs.
      min_runs: minimum number of timed runs, however long they take.

    Raises:
      InputError: the file is not an image model, has no fixed input size, or `min_runs` < 1.
    """
    if min_runs < 1:
        raise InputError(f"min_runs is {min_runs}; give 1 or more")
    interpreter = _ready(path_or_bytes, num_threads, warmup)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < min_runs or time.perf_counter() < end:
        times.append(_timed(interpreter))
    return _summary(interpreter, times)


def paired_latency(
    a: str | os.PathLike[str] | bytes,
    b: str | os.PathLike[str] | bytes,
    rounds: int = 20,
    *,
    num_threads: int = 2,
    warmup: int = 2,
) -> PairedLatency:
    """Time two files alternately, a b a b, in one process: a fair comparison on a shared machine.

    Raises:
      InputError: as in `tflite_latency`, or `rounds` < 1.
    """
    if rounds < 1:
        raise InputError(f"rounds is {rounds}; give 1 or more")
    first, second = (_ready(source, num_threads, warmup) for source in (a, b))
    times = np.array([(_timed(first), _timed(second)) for _ in range(rounds)])
    return PairedLatency(
        a=_summary(first, times[:, 0]),
        b=_summary(second, times[:, 1]),
        ratio=float(np.median(times[:, 1] / times[:, 0])),
    )


def _ready(
    source: str | os.PathLike[str] | bytes, num_threads: int, warmup: int
) -> ImageInterpreter:
    interpreter = ImageInterpreter(source, num_threads)
    size = interpreter.fixed_size
    if size is None:
        raise InputError(
            f"{interpreter.name} leaves its input size open, and a latency needs a size; "
            "export it for a fixed size"
        )
    interpreter.set_image(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    for _ in range(warmup):
        interpreter.invoke()
    return interpreter


def _timed(interpreter: ImageInterpreter) -> float:
    start = time.perf_counter()
    interpreter.invoke()
    return 1000.0 * (time.perf_counter() - start)


def _summary(interpreter: ImageInterpreter, times: list[float] | np.ndarray) -> LatencyResult:
    batch, height, width, channels = map(int, interpreter.input["shape"])
    return LatencyResult(
        runs=len(times),
        median_ms=float(np.median(times)),
        p90_ms=float(np.percentile(times, 90)),
        min_ms=float(np.min(times)),
        input_shape=(batch, height, width, channels),
    )
