"""What is safe to print; standard error while C and C++ code writes to it."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from unicodedata import category


def printable(text: str) -> str:
    """A text with escapes, such as \\x1b, in the place of what a terminal would obey.

    The name of a file or a tensor may hold control characters, and halves of characters.
    """
    return "".join(
        char.encode("unicode_escape").decode() if category(char) in ("Cc", "Cs") else char
        for char in text
    )


@contextlib.contextmanager
def stderr_held(*, released: bool = True) -> Iterator[None]:
    """Hold back what is written to standard error; if `released`, until the block raises."""
    held: list[str] = []
    try:
        with stderr_caught(held):
            yield
    except BaseException:
        if released and held:
            os.write(2, "".join(f"{line}\n" for line in held).encode(errors="backslashreplace"))
        raise


@contextlib.contextmanager
def stderr_caught(lines: list[str]) -> Iterator[None]:
    """Append to `lines` what is written to standard error until the block ends, however it ends."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
        saved = os.dup(2)
    except OSError:  # there is none
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            lines += held.read().decode(errors="replace").splitlines()
