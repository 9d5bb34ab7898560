"""The command reference: one page per command, from the text that its --help prints."""

import html
import re
from typing import Any

from mkdocs.structure.files import File, Files

from pams_tf.commands.manual import Manual, all_manuals

INDEX = "commands.md"


def on_config(config: Any) -> Any:
    """Add the pages to the navigation, below the guide that lists the commands."""
    (section,) = (part["Commands"] for part in config.nav if "Commands" in part)
    section += [{manual.program: _uri(manual)} for manual in all_manuals()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    for manual in all_manuals():
        files.append(File.generated(config, _uri(manual), content=page(manual)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Link each tool in the guide's table to its page."""
    if page.file.src_uri != INDEX:
        return markdown
    return re.sub(
        r"^\| (`tools/(\w+)\.py`)",
        lambda found: f"| [{found[1]}](commands/pams-{found[2].replace('_', '-')}.md)",
        markdown,
        flags=re.MULTILINE,
    )


def page(manual: Manual) -> str:
    """The Markdown of a command's page: its description, with examples as code, and its flags."""
    lines = [f"# {manual.program}", "", f"{html.escape(manual.summary, quote=False)}.", ""]
    in_code = False
    for line in manual.description.splitlines()[1:]:
        indented = line.startswith("  ")
        if indented != in_code and (line or in_code):
            lines += ["```"] if in_code else ["", "```text"]
            in_code = indented
        lines.append(line[2:] if indented else html.escape(line, quote=False))
    lines += ["```"] * in_code + ["", "## Options", ""]
    for option in manual.options:
        anchor = option.name.replace("[no]", "")
        lines.append(f"`--{option.name}`{{ #{anchor} }}")
        lines += [f":   {html.escape(option.text, quote=False).replace('*', '&#42;')}", ""]
    return "\n".join(lines) + "\n"


def _uri(manual: Manual) -> str:
    return f"commands/{manual.program}.md"
