"""Run the notebooks and store their outputs: python notebooks/run.py [NAME ...]

Each runs from top to bottom in an empty folder, with the kernel of this Python's environment.
"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
SECONDS_PER_CELL = 900  # a cell that hangs should not hang forever; no other time is limited
# What C++ code logs: LiteRT when it loads a file; TensorFlow about the instructions and devices of
# this machine, which another does not have; its converter. Not everything can be switched off. A
# warning of Python's looks different and stays.
_CHATTER = re.compile(
    r"\s*(INFO: |WARNING: |[IWE]\d{4} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "
    r"|To enable the following instructions: |fully_quantize: |$)"
)


def executed(path: Path) -> NotebookNode:
    """The notebook after a run, without what differs from run to run for no reason.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell has failed.
    """
    notebook = nbformat.read(path, as_version=4)
    scripts = os.path.dirname(sys.executable)  # where `%%bash` cells find the commands
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=SECONDS_PER_CELL,
            kernel_name="python3",
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=_environment(scripts))
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = _without_chatter(cell.outputs)
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def _environment(scripts: str) -> dict[str, str]:
    # A reader's kernel has neither this process's log level nor the sign by which ipykernel knows
    # a test, in which it would not show what C++ code writes.
    ours = ("TF_CPP_MIN_LOG_LEVEL", "PYTEST_CURRENT_TEST")
    inherited = {key: value for key, value in os.environ.items() if key not in ours}
    return {**inherited, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}


def _without_chatter(outputs: list[NotebookNode]) -> list[NotebookNode]:
    kept: list[NotebookNode] = []
    for output in outputs:
        if output.get("name") == "stderr":
            lines = output.text.splitlines(keepends=True)
            output.text = "".join(line for line in lines if not _CHATTER.match(line))
            if not output.text:
                continue
        if kept and output.get("name") and kept[-1].get("name") == output.name:
            kept[-1].text += output.text  # chatter stood between them
        else:
            kept.append(output)
    return kept


def main(names: list[str]) -> None:
    """Run the named notebooks, or all, and store each when it has finished."""
    paths = [FOLDER / f"{name}.ipynb" for name in names] or sorted(FOLDER.glob("*.ipynb"))
    for path in paths:
        begun = time.perf_counter()
        notebook = executed(path)
        nbformat.write(notebook, path)
        size = path.stat().st_size
        print(f"{path.name}: {time.perf_counter() - begun:.0f} s, {size:,} bytes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
