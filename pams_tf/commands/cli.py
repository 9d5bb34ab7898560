"""What all commands share: separate flags, help, one-line errors, and a JSON copy of the result."""

import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf import backend, locate
from pams_tf.commands.manual import manual
from pams_tf.errors import InputError
from pams_tf.files import check_writable, write_text
from pams_tf.streams import printable


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
    more: str | None = None,
) -> int:
    """Parse `argv` into `values`, run `body`, and write its result to `--json`.

    `body` imports heavy modules itself, TensorFlow with `load_tensorflow`, so that `--help` and
    wrong flags are answered at once. `renamed` maps old names of flags to new ones; the old ones
    still work, with a line that gives the new name. Words without a flag are further values of the
    flag `more`, so that a pattern may be expanded by the shell; without `more` they are refused.
    A ~ at the start of a value is the home directory, which shells leave alone behind --name=.

    Returns:
      The exit status: 0 on success, 2 for flags that cannot be parsed, 1 for input that cannot be
      used and for `Incomplete` work (one line on stderr), 130 after Ctrl-C. Other exceptions are
      bugs and are not caught.
    """
    _prepare_streams()
    arguments = list(sys.argv if argv is None else argv)
    program = os.path.basename(arguments[0])
    arguments[1:] = [_at_home(_renamed(word, renamed or {}, program)) for word in arguments[1:]]
    values.unparse_flags()
    for name in values:
        values[name].unparse()
    try:
        rest = values(arguments)[1:]
        if rest and more is None:
            raise flags.Error(
                f"unexpected argument {rest[0]!r}; every option has the form --name, and a pattern "
                "wants quotes"
            )
        if more is not None:
            values[more].value = [*(values[more].value or ()), *rest]
    except flags.Error as error:
        # --help takes precedence over a missing or wrong flag.
        if "--help" in arguments or "-h" in arguments:
            print(manual(program, values, description).as_text())
            return 0
        print(f"{program}: {_one_line(error)} (see --help)", file=sys.stderr)
        return 2
    if values.help:
        print(manual(program, values, description).as_text())
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


def load_tensorflow_for(model: str) -> None:
    """Call `load_tensorflow` if the given model is a Keras network; the others do not need it.

    Raises:
      InputError: there is no such model.
    """
    if model != locate.BICUBIC and locate.model_file(model).suffix in locate.KERAS_SUFFIXES:
        load_tensorflow()


def load_tensorflow() -> None:
    """Import TensorFlow without its start-up messages, see `backend.load_tensorflow`.

    Keras' settings of its own configuration file, such as another floatx, do not apply to a
    command.
    """
    backend.load_tensorflow()
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")


def _prepare_streams() -> None:
    """Make standard output and error usable, whatever the shell has made of them."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed: the next file opened would take its place and its output
            stream = open(os.devnull, "w")  # noqa: SIM115 - for the whole process
            os.dup2(stream.fileno(), number)
            setattr(sys, name, stream)
        elif stream is getattr(sys, f"__{name}__"):  # the process's own, not a caller's
            setattr(sys, name, _Patient(stream))


class _Patient(io.TextIOWrapper):
    """A stream whose reader may leave, as `head` does: the work goes on and the rest is dropped."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors="backslashreplace",  # a name can be beyond the terminal's encoding
            line_buffering=True,
        )

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())  # what is still buffered goes there too
        os.close(nowhere)


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


def _at_home(word: str) -> str:
    """The argument with a ~ at the start of its value replaced by the home directory."""
    flag, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    return f"{flag}{equals}{os.path.expanduser(value)}"


def _one_line(error: Exception) -> str:
    return printable(" ".join(str(error).split()))
