"""Flags such as --target, which a browser would break behind its hyphens, stay in one line."""

import re
from typing import Any

_BLOCK = re.compile(r"(<pre\b.*?</pre>|<[^>]*>)", re.DOTALL)
_FLAG = re.compile(r"(?<![\w-])--(\[no\])?[a-z][a-z_\d]*")


def on_page_content(content: str, **_: Any) -> str:
    """Put each flag in the text, but not those in blocks of code, into an element of its own."""
    parts = _BLOCK.split(content)
    parts[::2] = [_FLAG.sub(r'<span class="flag">\g<0></span>', text) for text in parts[::2]]
    return "".join(parts)
