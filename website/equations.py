"""Equations, `$...$` and `$$...$$`, become MathML when the site is built; no script is needed."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

_EQUATION = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[\[(](?P<latex>.*?)\\[\])]</(?P=tag)>', re.DOTALL
)


def on_page_content(content: str, **_: Any) -> str:
    """Replace what `pymdownx.arithmatex` leaves for a script by MathML."""

    def rendered(match: re.Match[str]) -> str:
        tag, display = match["tag"], "block" if match["tag"] == "div" else "inline"
        math = convert(html.unescape(match["latex"]).strip(), display=display)
        return f'<{tag} class="equation">{math}</{tag}>'

    return _EQUATION.sub(rendered, content)
