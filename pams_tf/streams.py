"""Standard error while C and C++ code runs, which writes to it whatever Python has set."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


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
