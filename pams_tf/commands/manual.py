"""What a command says about itself: the one text behind --help and the command reference."""

import dataclasses
import importlib
from importlib.metadata import entry_points

from absl import flags


@dataclasses.dataclass(frozen=True)
class Option:
    """One flag of a command.

    Attributes:
      name: the flag without dashes; "[no]name" if it is on unless it is switched off.
      text: what it does, the values it accepts and its default, in sentences.
    """

    name: str
    text: str


@dataclasses.dataclass(frozen=True)
class Manual:
    """A command's name, its description (the docstring of its module) and its options by name."""

    program: str
    description: str
    options: tuple[Option, ...]

    @property
    def summary(self) -> str:
        """The first line of the description, without its full stop."""
        return self.description.partition("\n")[0].removesuffix(".")

    def as_text(self) -> str:
        """The text that --help prints."""
        lines = [f"{self.program}: {self.description}", "", "Options:"]
        for option in self.options:
            lines += [f"  --{option.name}", f"      {option.text}"]
        return "\n".join(lines)


def manual(program: str, values: flags.FlagValues, description: str | None) -> Manual:
    """The manual of one command, from its flags and its module's docstring."""
    named = (values[name] for name in sorted(values) if name == values[name].name)
    return Manual(program, (description or "").strip(), tuple(map(_option, named)))


def all_manuals() -> tuple[Manual, ...]:
    """The manuals of all console commands of the installed package, by name."""
    found = {
        entry.name: importlib.import_module(entry.module)
        for entry in entry_points(group="console_scripts")
        if entry.module.startswith("pams_tf.")
    }
    return tuple(manual(name, found[name].FLAGS, found[name].__doc__) for name in sorted(found))


def _option(flag: flags.Flag) -> Option:
    # absl adds words of its own to the help of flags with choices and of repeated flags.
    text = " ".join(flag.help.partition(";\n")[0].split())
    sentences = [text]
    choices = getattr(flag.parser, "enum_values", None)
    if choices:
        text = text.removeprefix(f"<{'|'.join(choices)}>: ")
        sentences = [text, f"One of: {', '.join(choices)}."]
    if any("other than None" in check.message for check in flag.validators):
        sentences.append("Required.")
    if flag.default not in (None, False, "", []) and "efault" not in text:
        sentences.append(f"Default: {_words(flag.default)}.")
    switched_off = flag.boolean and flag.default is not False
    return Option(f"[no]{flag.name}" if switched_off else flag.name, " ".join(sentences))


def _words(default: object) -> str:
    if isinstance(default, list):
        return ",".join(map(str, default))
    if isinstance(default, bool):
        return "on"
    return f"{default:g}" if isinstance(default, float) else str(default)
