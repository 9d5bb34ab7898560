"""Reads docstrings as they are meant where Google's style is read otherwise."""

import re
from typing import Any

import griffe


class Sections(griffe.Extension):
    """What the parser of Google's style takes for something else."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of each object that is loaded."""
        if obj.docstring:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(docstring: str) -> str:
    """The docstring in the parser's own words.

    A section "Example:" has another name there. Of attributes that share a line ("qmin, qmax:"), it
    would take the second one for the type of the first, but not behind a no-break space.
    """
    lines, in_attributes = [], False
    for line in docstring.splitlines():
        if section := re.fullmatch(r"\s*(\w+):", line):
            in_attributes = section[1] == "Attributes"
            line = line.replace("Example:", "Examples:")
        if in_attributes and (shared := re.match(r"\s*\w+(, \w+)+:", line)):
            line = shared[0].replace(", ", ",\N{NO-BREAK SPACE}") + line[shared.end() :]
        lines.append(line)
    return "\n".join(lines)
