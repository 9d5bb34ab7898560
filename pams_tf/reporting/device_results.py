"""Results that the benchmark app exported on several devices: reading them, and tables of them."""

import dataclasses
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pams_tf.errors import InputError
from pams_tf.reading import excerpt, read_json
from pams_tf.reporting.tables import markdown_table

FORMAT = "pams_tf benchmark result"
VERSION = 1
COLUMNS = (
    "device", "model", "bits", "input", "ran on", "p50, ms", "p90, ms", "p99, ms", "mean, ms",
    "std, ms", "samples", "fps", "cold start, ms", "memory, MB", "differing codes", "result",
)  # fmt: skip
# The columns that fit into 80 characters of a terminal, in one table per model; in milliseconds.
SHORT_COLUMNS = ("device", "ran on", "p50", "p99", "cold", "output")
_SHORT_VERDICTS = {"not checked": "unchecked", "equal within rounding": "rounded"}


@dataclasses.dataclass(frozen=True)
class DeviceResult:
    """One benchmark of one file on one device; times in milliseconds.

    Attributes:
      device: name of the device, as the browser reports it.
      model: name of the .tflite file without its suffix.
      bits: bit width of the recipe; None for a float file.
      width, height: of the input.
      engine: the accelerator that it actually ran on, with its number of threads, and "in part" if
        it did not run the whole graph.
      p50, p90, p99, mean, std, samples: of the warm runs.
      fps: frames per second.
      cold_start: time for loading and compiling the file, loading the runtime, and the first run.
      memory: memory of WebAssembly in bytes.
      differing: share of codes that differ from the host's; None without a reference.
      valid: False if the output was wrong, which makes the times meaningless.
      date: date and time in ISO 8601.
    """

    device: str
    model: str
    bits: int | None
    width: int
    height: int
    engine: str
    p50: float
    p90: float
    p99: float
    mean: float
    std: float
    samples: int
    fps: float
    cold_start: float
    memory: int
    differing: float | None
    valid: bool
    date: str

    def cells(self) -> dict[str, str]:
        """The cells of its table row, by column."""
        if not self.valid:
            verdict = "WRONG"
        elif self.differing is None:
            verdict = "not checked"
        else:
            verdict = "equal" if self.differing == 0 else "equal within rounding"
        return {
            "device": self.device,
            "model": self.model,
            "bits": "float" if self.bits is None else str(self.bits),
            "input": f"{self.width}x{self.height}",
            "ran on": self.engine,
            "p50, ms": three_digits(self.p50),
            "p90, ms": three_digits(self.p90),
            "p99, ms": three_digits(self.p99),
            "mean, ms": three_digits(self.mean),
            "std, ms": three_digits(self.std),
            "samples": str(self.samples),
            "fps": three_digits(self.fps),
            "cold start, ms": three_digits(self.cold_start),
            "memory, MB": three_digits(self.memory / 1e6),
            "differing codes": "-" if self.differing is None else f"{self.differing:.3%}",
            "result": verdict,
        }


def find_files(sources: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The .json files in `sources`: files as given, and those directly in a folder.

    Raises:
      InputError: a source does not exist, or there is no file at all.
    """
    files: list[Path] = []
    for source in map(Path, sources):
        if source.is_dir():
            files += sorted(source.glob("*.json"))
        elif source.is_file():
            files.append(source)
        else:
            raise InputError(f"{source}: no such file or folder")
    if not files:
        raise InputError(f"no .json file in {', '.join(map(str, sources))}")
    return list(dict.fromkeys(files))


def read_results(path: str | os.PathLike[str]) -> list[DeviceResult]:
    """The results in one exported file, which holds one object or a list of them.

    Raises:
      InputError: the file cannot be read, or something in it is not a result of the app; the
        message names the file.
    """
    content = read_json(path)
    entries = content if isinstance(content, list) else [content]
    if not entries:
        raise InputError(f"{path}: holds no result")
    return [_result(entry, str(path)) for entry in entries]


def in_order(results: Sequence[DeviceResult]) -> list[DeviceResult]:
    """Sorted by model, fastest first and wrong ones last, without runs that were exported twice."""
    unique = dict.fromkeys(results)
    return sorted(unique, key=lambda r: (r.model, not r.valid, r.p50, r.device))


def markdown(results: Sequence[DeviceResult]) -> str:
    """All columns as a Markdown table."""
    rows = [[result.cells()[column] for column in COLUMNS] for result in results]
    return "\n".join(markdown_table(COLUMNS, rows)) + "\n"


def short_rows(results: Sequence[DeviceResult]) -> dict[str, list[list[str]]]:
    """The rows of a table with `SHORT_COLUMNS`, by model."""
    tables: dict[str, list[list[str]]] = {}
    for result in results:
        cells = result.cells()
        row = [
            shortened(result.device, 20),
            re.sub(r", (\d+) threads", r" x\1", result.engine).replace(", in part", " (part)"),
            cells["p50, ms"],
            cells["p99, ms"],
            cells["cold start, ms"],
            _SHORT_VERDICTS.get(cells["result"], cells["result"]),
        ]
        tables.setdefault(result.model, []).append(row)
    return tables


def _result(entry: Any, source: str) -> DeviceResult:
    if not isinstance(entry, dict) or entry.get("format") != FORMAT:
        raise InputError(f"{source}: not a result of the benchmark app")
    if entry.get("version") != VERSION:
        version = excerpt(entry.get("version"))
        raise InputError(f"{source}: a result of version {version}; this tool reads {VERSION}")
    try:
        latency, accelerator = entry["latency_ms"], entry["accelerator"]
        comparison = entry["check"]["comparison"]
        recipe = entry["model"]["recipe"]
        _, height, width, _ = entry["model"]["input"]
        threads = int(accelerator["threads"])
        engine = str(accelerator["actual"]) + (f", {threads} threads" if threads > 1 else "")
        result = DeviceResult(
            device=str(entry["device"]["name"]),
            model=str(entry["model"]["file"]).removesuffix(".tflite"),
            bits=None if recipe is None else int(recipe["bits"]),
            width=int(width),
            height=int(height),
            engine=engine if accelerator["fully_accelerated"] else f"{engine}, in part",
            p50=float(latency["p50"]),
            p90=float(latency["p90"]),
            p99=float(latency["p99"]),
            mean=float(latency["mean"]),
            std=float(latency["deviation"]),
            samples=int(latency["count"]),
            fps=float(entry["frames_per_second"]),
            cold_start=sum(float(time) for time in entry["cold_ms"].values()),
            memory=int(entry["memory_bytes"]["wasm"]),
            differing=None if comparison is None else float(comparison["share"]),
            valid=entry["valid"] is True,
            date=str(entry["date"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{source}: a damaged result ({type(error).__name__}: {error}); export it again"
        ) from None
    times = (result.p50, result.p90, result.p99, result.fps)
    others = (result.mean, result.std, result.cold_start, result.differing or 0)
    if not all(0 < time < math.inf for time in times) or not all(map(math.isfinite, others)):
        raise InputError(
            f"{source}: a damaged result (times that are not above 0); export it again"
        )
    return result


def three_digits(value: float) -> str:
    decimals = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{min(decimals, 3)}f}"


def shortened(name: str, most: int = 40) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
