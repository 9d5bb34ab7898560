"""Standard error while C++ code starts, which writes to it whatever Python has set."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def stderr_held(*, released: bool = True) -> Iterator[None]:
    """Hold back what is written to standard error; if `released`, until the block raises."""
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
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            if released:
                os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
