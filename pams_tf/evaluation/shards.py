"""A batch of pictures divided among machines, and their reports made one again."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pams_tf.errors import InputError

Item = TypeVar("Item")
_SAME = ("model", "scale", "halo", "left_out", "results_left_out")


def parse_shard(text: str) -> tuple[int, int]:
    """ "2/4" -> (2, 4), the second of four.

    Raises:
      InputError: the text has another form, or there is no such shard.
    """
    place, slash, count = text.partition("/")
    if not (slash and place.isdecimal() and count.isdecimal() and 1 <= int(place) <= int(count)):
        raise InputError(f"shard {text!r} is not possible; give I/N, such as 1/4, up to 4/4")
    return int(place), int(count)


def shard_of(items: Sequence[Item], place: int, count: int) -> list[Item]:
    """Every `count`-th item, from number `place` on, counted from 1."""
    return list(items[place - 1 :: count])


def merged(reports: dict[str, Any]) -> dict[str, Any]:
    """One report of `pams-upscale` from those of all shards.

    Args:
      reports: name of each report for messages -> the report.

    Returns:
      What one process would have reported, files in the same order.

    Raises:
      InputError: one is no report of a shard, they are of different batches, or one is missing or
        there twice.
    """
    places = {name: _place(name, report) for name, report in reports.items()}
    first, beginning = next(iter(reports.items()))
    count = places[first][1]
    shards: dict[int, dict[str, Any]] = {}
    for name, report in reports.items():
        place, total = places[name]
        differing = [key for key in _SAME if report[key] != beginning[key]]
        if total != count or differing:
            what = differing[0] if differing else "number of shards"
            raise InputError(f"{name} is of another batch than {first}: its {what} is another")
        if place in shards:
            raise InputError(f"{name}: shard {place}/{count} is there already; give each once")
        shards[place] = report
    missing = [f"{place}/{count}" for place in range(1, count + 1) if place not in shards]
    if missing:
        raise InputError(f"no report of shard {', '.join(missing)}; give those of all shards")
    total = sum(len(report["files"]) for report in shards.values())
    files: list[Any] = [None] * total
    for place, report in shards.items():
        slots = range(place - 1, total, count)
        if len(slots) != len(report["files"]):
            raise InputError(
                f"shard {place}/{count} has {len(report['files'])} pictures, where {len(slots)} "
                "were expected; the shards have seen different inputs"
            )
        for slot, entry in zip(slots, report["files"], strict=True):
            files[slot] = entry
    return {
        **{key: beginning[key] for key in ("model", "scale", "halo")},
        **counted(files),
        "files": files,
        **{key: beginning[key] for key in ("left_out", "results_left_out")},
    }


def counted(files: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many of the pictures of a report failed, and how many were skipped."""
    return {
        "failed": sum("error" in entry for entry in files),
        "skipped": sum("skipped" in entry for entry in files),
    }


def _place(name: str, report: Any) -> tuple[int, int]:
    fields = (*_SAME, "shard", "files")
    if not isinstance(report, dict) or not all(field in report for field in fields):
        raise InputError(f"{name}: not a report of pams-upscale --shard")
    files = report["files"]
    if not isinstance(files, list) or not all(isinstance(entry, dict) for entry in files):
        raise InputError(f"{name}: not a report of pams-upscale --shard")
    try:
        return parse_shard(str(report["shard"]))
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
