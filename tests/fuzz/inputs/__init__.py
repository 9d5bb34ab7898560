"""The kinds of input, a module each.

A module has SHARE, the number of its inputs among 3,000; `prepare(folder)`, which writes the sound
files; `make(rng, originals)`, which writes an input into the working directory and returns a
function that tries it and returns the exit status; and `check(folder, status)`, which raises if
what was written is not whole. MOST_LINES is how many lines a refusal may have, 1 by default, and
GOES_ON says that files may be written although the exit status is not 0.
"""

import importlib
from collections.abc import Callable

KINDS = ("pictures", "model_files", "archives", "texts", "weights", "networks", "runs")


def command(name: str, *arguments: str) -> Callable[[], int]:
    """A command as the user starts it, in this process."""

    def run() -> int:
        module = importlib.import_module(f"pams_tf.commands.{name}")
        return module.main([f"{name}.py", *arguments])

    return run


def share(kind: str) -> int:
    """The number of inputs of this kind among 3,000."""
    return importlib.import_module(f"inputs.{kind}").SHARE
