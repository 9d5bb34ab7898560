"""The notebooks as pages, with their stored outputs, and as files to download."""

import re
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: Any) -> Files:
    """Add a page, its pictures and the notebook itself, for each notebook."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        place = f"{path.stem}_files"
        notebook = nbformat.read(path, as_version=4)
        body, resources = MarkdownExporter().from_notebook_node(
            notebook, {"unique_key": path.stem, "output_files_dir": place}
        )
        link = f"[Download this notebook]({path.name}){{ download }}"
        note = f"*{link}; its outputs are those of a CPU.*"
        title, _, rest = body.strip().partition("\n")
        page = f"{title}\n\n{note}\n{_described(rest)}\n"
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
        files.append(File.generated(config, f"notebooks/{path.name}", abs_src_path=str(path)))
        for name, data in resources["outputs"].items():
            uri = f"notebooks/{place}/{Path(name).name}"
            files.append(File.generated(config, uri, content=data))
    return files


def _described(body: str) -> str:
    """nbconvert calls every picture "png"; a screen reader should not."""
    return re.sub(r"!\[(png|jpeg)\]\(", "![Output of the cell above](", body)
