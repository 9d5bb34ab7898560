"""Reads the docstrings' "Example:" as what it is: examples that the tests run."""

from typing import Any

import griffe


class Examples(griffe.Extension):
    """Google's style calls the section "Examples:" even if there is only one."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename the section in the docstring of each object that is loaded."""
        if obj.docstring:
            lines = obj.docstring.value.splitlines()
            obj.docstring.value = "\n".join(
                line.replace("Example:", "Examples:") if line.strip() == "Example:" else line
                for line in lines
            )
