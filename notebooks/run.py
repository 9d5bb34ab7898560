"""Run the notebooks and store their outputs: python notebooks/run.py [NAME ...]

Each runs from top to bottom in an empty folder, with the kernel of this Python's environment.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
SECONDS_PER_CELL = 900  # a cell that hangs should not hang forever; no other time is limited
# What LiteRT says when the first file is loaded, and TensorFlow's converter when it quantizes;
# nothing can switch it off.
_CHATTER = ("INFO: Created TensorFlow Lite XNNPACK delegate for CPU.", "fully_quantize: ")


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
            cell.outputs = [kept for output in cell.outputs if (kept := _without_chatter(output))]
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def _environment(scripts: str) -> dict[str, str]:
    # What this process says to TensorFlow's log is not what a reader's kernel would be told.
    inherited = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    return {**inherited, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}


def _without_chatter(output: NotebookNode) -> NotebookNode | None:
    if output.output_type == "stream" and output.name == "stderr":
        lines = [
            line
            for line in output.text.splitlines(keepends=True)
            if not line.strip().startswith(_CHATTER)
        ]
        output.text = "".join(lines)
        return output if output.text.strip() else None
    return output


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
