"""Damage to bytes and to JSON: what disks, networks, editors and attackers do to a file."""

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def damaged(rng: Rng, content: bytes, most: int = 6) -> bytes:
    """The content after 1 to `most` damages of any kind."""
    for _ in range(int(rng.integers(1, most + 1))):
        content = DAMAGES[int(rng.integers(len(DAMAGES)))](rng, content)
    return content


def altered(rng: Rng, value: Any) -> Any:
    """A JSON value in which something is replaced, removed, renamed or repeated, 1 to 3 times."""
    value = json.loads(json.dumps(value))
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(value))
        if not places or rng.random() < 0.03:
            return _odd(rng)
        holder, key = places[int(rng.integers(len(places)))]
        action = rng.integers(10)
        if action < 7:
            holder[key] = _odd(rng)
        elif action == 7:
            del holder[key]
        elif isinstance(holder, dict):
            name = f"{key} " if action == 8 else str(_odd(rng))[:99]
            holder[name] = holder.pop(key)
        else:
            holder.insert(key, holder[key])
    return value


def altered_text(rng: Rng, value: Any) -> bytes:
    """JSON of the altered value, or, for every fourth, of the value with damaged bytes."""
    if rng.random() < 0.25:
        return damaged(rng, json.dumps(value).encode())
    return json.dumps(altered(rng, value)).encode()


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _odd(rng: Rng) -> Any:
    nested: Any = []
    for _ in range(int(rng.integers(1, 300))):
        nested = [nested]
    values = (
        *(None, True, False, 0, -1, 1, 2, 3, 7, 2.5, -0.0, 10**6, 2**31, 2**63, 10**400, 1e308),
        *(float("nan"), float("inf"), "", "8", "x" * 3000, "\x1b[31mred\x1b[0m", "two\nlines"),
        *("../../up", "/dev/zero", "nul\0byte", "half \ud800", "$\\frac{$", "{}", "[red]", "é漢"),
        *([], {}, [[]], [None], {"": {}}, [1, 2, 3], nested),
    )
    return values[int(rng.integers(len(values)))]


def _where(rng: Rng, content: bytes) -> int:
    """A position; half of the time among the first 200 bytes, where headers are."""
    length = len(content) if rng.random() < 0.5 else min(len(content), 200)
    return int(rng.integers(length + 1))


def _span(rng: Rng, content: bytes) -> tuple[int, int]:
    start = _where(rng, content)
    return start, min(len(content), start + int(2 ** rng.uniform(0, 12)))


def _noise(rng: Rng, length: int) -> bytes:
    return rng.integers(0, 256, length, np.uint8).tobytes()


def _flip(rng: Rng, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(int(2 ** rng.uniform(0, 6)) if changed else 0):
        changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _cut(rng: Rng, content: bytes) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def _overwrite(rng: Rng, content: bytes) -> bytes:
    start, stop = _span(rng, content)
    return content[:start] + _noise(rng, stop - start) + content[stop:]


def _zero(rng: Rng, content: bytes) -> bytes:
    start, stop = _span(rng, content)
    return content[:start] + bytes(stop - start) + content[stop:]


def _insert(rng: Rng, content: bytes) -> bytes:
    start, stop = _span(rng, content)
    return content[:start] + _noise(rng, stop - start) + content[start:]


def _drop(rng: Rng, content: bytes) -> bytes:
    start, stop = _span(rng, content)
    return content[:start] + content[stop:]


def _repeat(rng: Rng, content: bytes) -> bytes:
    start, stop = _span(rng, content)
    return content[:stop] + content[start:]


def _extreme(rng: Rng, content: bytes) -> bytes:
    """A length, offset or count of 2 or 4 bytes becomes as small or as large as it can be."""
    start, value = _where(rng, content), EXTREMES[int(rng.integers(len(EXTREMES)))]
    form = ("<I", ">I", "<H", ">H")[int(rng.integers(4))]
    packed = struct.pack(form, value & (0xFFFFFFFF if form[1] == "I" else 0xFFFF))
    return content[:start] + packed + content[start + len(packed) :]


DAMAGES: tuple[Callable[[Rng, bytes], bytes], ...] = (
    _flip, _cut, _overwrite, _zero, _insert, _drop, _repeat, _extreme, _extreme,
)  # fmt: skip
