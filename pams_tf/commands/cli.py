"""What all commands share: separate flags, help, one-line errors, and a JSON copy of the result."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from absl import flags

from pams_tf import locate
from pams_tf.backend import check_backend
from pams_tf.errors import InputError
from pams_tf.files import check_writable, write_text


class Incomplete(Exception):  # noqa: N818 - not an error of the program
    """Part of the work failed; the result of the rest is written to `--json` all the same.

    The message is one line that says how much failed; the exit status is 1.
    """

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result


def command_flags() -> flags.FlagValues:
    """Flags for one command, in a registry of its own so that one process can hold several."""
    values = flags.FlagValues()
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    flags.DEFINE_string(
        "json", None, "Also write the result to this JSON file.", flag_values=values
    )
    flags.DEFINE_boolean("traceback", False, "Show the traceback of an error.", flag_values=values)
    return values


def run(
    body: Callable[[], Any],
    values: flags.FlagValues,
    description: str | None,
    argv: Sequence[str] | None = None,
    renamed: Mapping[str, str] | None = None,
) -> int:
    """Parse `argv` into `values`, run `body`, and write its result to `--json`.

    `body` imports heavy modules itself, TensorFlow with `load_tensorflow`, so that `--help` and
    wrong flags are answered at once. `renamed` maps old names of flags to new ones; the old ones
    still work, with a line that gives the new name.

    Returns:
      The exit status: 0 on success, 2 for flags that cannot be parsed, 1 for input that cannot be
      used and for `Incomplete` work (one line on stderr), 130 after Ctrl-C. Other exceptions are
      bugs and are not caught.
    """
    _prepare_streams()
    arguments = list(sys.argv if argv is None else argv)
    program = os.path.basename(arguments[0])
    arguments[1:] = [_renamed(word, renamed or {}, program) for word in arguments[1:]]
    values.unparse_flags()
    for name in values:
        values[name].unparse()
    try:
        rest = values(arguments)[1:]
        if rest:
            raise flags.Error(f"unexpected argument {rest[0]!r}; every option has the form --name")
    except flags.Error as error:
        # --help takes precedence over a missing or wrong flag.
        if "--help" in arguments or "-h" in arguments:
            _print_help(program, values, description)
            return 0
        print(f"{program}: {_one_line(error)} (see --help)", file=sys.stderr)
        return 2
    if values.help:
        _print_help(program, values, description)
        return 0
    failure = None
    try:
        if values.json:  # a mistyped folder should not fail only after hours of work
            check_writable(Path(values.json).parent)
        try:
            result = body()
        except Incomplete as incomplete:
            result, failure = incomplete.result, incomplete
        if values.json:
            write_text(values.json, json.dumps(result, indent=2) + "\n")
        if failure:
            print(f"{program}: {_one_line(failure)}", file=sys.stderr)
            return 1
    except (InputError, OSError) as error:
        if values.traceback:
            raise
        print(f"{program}: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    return 0


def say(line: str, stream: TextIO | None = None) -> None:
    """Print a line amid long work, which goes on if nobody reads it any longer."""
    stream = stream or sys.stdout
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # what is still buffered goes there too
        os.close(nowhere)


def load_tensorflow_for(model: str) -> None:
    """Call `load_tensorflow` if the given model is a Keras network; the others do not need it.

    Raises:
      InputError: there is no such model.
    """
    if model != locate.BICUBIC and locate.model_file(model).suffix == ".keras":
        load_tensorflow()


def load_tensorflow() -> None:
    """Import TensorFlow without the start-up messages that its C++ code prints.

    They are printed before any log level is read, so standard error itself is redirected during the
    import. Python exceptions are raised as usual; set TF_CPP_MIN_LOG_LEVEL to see all messages.
    """
    check_backend()
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or "tensorflow" in sys.modules:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    with _stderr_closed():
        import tensorflow as tf

        tf.config.list_physical_devices()  # prints a lot if there is no GPU


def _prepare_streams() -> None:
    """Make standard output and error usable, whatever the shell has made of them."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed: the next file opened would take its place and its output
            stream = open(os.devnull, "w")  # noqa: SIM115 - for the whole process
            os.dup2(stream.fileno(), number)
            setattr(sys, name, stream)
        elif isinstance(stream, io.TextIOWrapper):  # a name can be beyond the terminal's encoding
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _stderr_closed() -> Iterator[None]:
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(nowhere)
        os.close(saved)


def _renamed(word: str, renamed: Mapping[str, str], program: str) -> str:
    """The argument with its flag's new name; prints the new name to standard error."""
    flag, equals, value = word.partition("=")
    name = flag.lstrip("-")
    for old, new in renamed.items():
        if flag.startswith("-") and name in (old, f"no{old}"):
            prefix = "--no" if name == f"no{old}" else "--"
            print(f"{program}: --{old} is now --{new}", file=sys.stderr)
            return f"{prefix}{new}{equals}{value}"
    return word


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _print_help(program: str, values: flags.FlagValues, description: str | None) -> None:
    print(f"{program}: {(description or '').strip()}\n\nOptions:")
    for name in sorted(values):
        flag = values[name]
        if name != flag.name:  # the short name of a flag already listed
            continue
        default = "" if flag.default is None else f" (default: {flag.default_as_str})"
        choices = getattr(flag.parser, "enum_values", None)
        choice_text = f" One of: {', '.join(map(str, choices))}." if choices else ""
        print(f"  --{name}\n      {flag.help}{choice_text}{default}")
