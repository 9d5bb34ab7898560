"""Pages of the site that are Markdown files outside docs/, and links between them.

Links in the repository's Markdown are relative to the file, so that they work where the code is
hosted. Here they are turned into links between the site's pages. A link to a file that has no page,
such as a test, leads below the address in REPOSITORY if that is set, and is plain text otherwise.
"""

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "mobile/README.md": "browser.md",
    "reports/README.md": "reports/index.md",
    "pams_tf/data/sample/LICENSES.md": "photographs.md",
}
PAGES |= {
    path.relative_to(ROOT).as_posix(): path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "reports" / "cpu").iterdir())
}
"""File in the repository -> file of the site."""
_NOTEBOOKS = {
    f"notebooks/{path.name}": f"notebooks/{path.stem}.md"
    for path in (ROOT / "notebooks").glob("*.ipynb")
}
_LINK = re.compile(r"(\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\()(?P<target>[^)\s]+)(\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    for source, uri in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / source)))
    for path in (ROOT / "website" / "site.css", *sorted((ROOT / "website" / "fonts").iterdir())):
        files.append(File.generated(config, f"assets/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make each relative link one to a page or file of the site."""
    uri = page.file.src_uri
    source = {site: file for file, site in PAGES.items()}.get(uri, f"docs/{uri}")

    def replaced(match: re.Match[str]) -> str:
        target, hash_sign, anchor = match["target"].partition("#")
        if not target or re.match(r"[a-z]+:", target) or uri.startswith("notebooks/"):
            return match[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if (ROOT / file).is_dir():
            file = f"{file}/README.md"
        place = {**PAGES, **_NOTEBOOKS}.get(file)
        if file.startswith("docs/"):
            place = file.removeprefix("docs/")
        if place is None:
            return _elsewhere(match, file)
        relative = posixpath.relpath(place, posixpath.dirname(uri) or ".")
        return f"{match[1]}{relative}{hash_sign}{anchor})"

    return _LINK.sub(replaced, markdown)


def _elsewhere(match: re.Match[str], file: str) -> str:
    if not (ROOT / file).exists():
        return match[0]  # mkdocs says that it is broken
    repository = os.environ.get("REPOSITORY")
    return f"{match[1]}{repository.rstrip('/')}/{file})" if repository else match["text"]
