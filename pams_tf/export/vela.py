"""Arm's Vela compiler: which operators of a file run on an Ethos-U, and Vela's estimate for them.

Vela is the package `ethos-u-vela`; it is run here as a separate program.
"""

import csv
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from pams_tf.errors import InputError
from pams_tf.litert.flatbuffer import read_file

ACCELERATORS = ("ethos-u55-256", "ethos-u65-512", "ethos-u85-1024")
_COMMAND = "CUSTOM ethos-u"  # the operator that replaces those that Vela has compiled


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where a file's operators run on one accelerator, and Vela's estimate for the NPU's part.

    Attributes:
      accelerator: for example "ethos-u55-256": the family and its MACs per cycle.
      system, memory_mode: the configuration that Vela assumed, its default for the accelerator.
      npu, cpu: number of operators on each processor, by built-in name.
      cycles: of one inference: for each operator, the larger of its compute and its memory cycles.
        Operators on the CPU are not included.
      macs: multiply-accumulate operations of one inference.
      clock_hz: clock of the assumed system.
      inferences_per_second: clock_hz / cycles.
      sram_bytes, dram_bytes, flash_bytes: memory used; weights are in flash or DRAM.
    """

    accelerator: str
    system: str
    memory_mode: str
    npu: dict[str, int]
    cpu: dict[str, int]
    cycles: int
    macs: int
    clock_hz: int
    inferences_per_second: float
    sram_bytes: int
    dram_bytes: int
    flash_bytes: int

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def find_vela(path: str | os.PathLike[str] | None = None) -> str:
    """The vela program: `path`, or the one on PATH, or the one beside this Python executable.

    Raises:
      InputError: there is none; the message says how to install it.
    """
    if path is not None:
        found = shutil.which(path)
        if found is None:
            raise InputError(f"{path}: no such program; give the path of Vela's executable")
        return found
    found = shutil.which("vela") or shutil.which("vela", path=str(Path(sys.executable).parent))
    if found is None:
        raise InputError(
            "Arm's Vela compiler is not installed; pip install 'pams_tf[npu]' (or install "
            "ethos-u-vela elsewhere and give the path of its vela as --vela PATH)"
        )
    return found


def place(
    source: str | os.PathLike[str],
    accelerator: str,
    vela: str | os.PathLike[str] | None = None,
) -> Placement:
    """Compile a .tflite file for an accelerator with Vela, and read the result.

    Args:
      source: an integer .tflite file.
      accelerator: a name that Vela knows; see `ACCELERATORS`.
      vela: path of its executable, if `find_vela` would not find it.

    Raises:
      InputError: Vela is not installed or does not know the accelerator, the file is missing,
        truncated or has no int8 tensors, or Vela cannot compile it.
    """
    program = find_vela(vela)
    info = read_file(source)
    if not any(tensor.dtype == "int8" for tensor in info.tensors):
        raise InputError(
            f"{source}: not an integer file, and an Ethos-U computes only in integers; "
            "export it with tools/to_tflite.py"
        )
    if any(tensor.dtype == "int4" for tensor in info.tensors):
        raise InputError(
            f"{source}: Vela does not support int4 kernels; export the file with --weights int8"
        )
    with tempfile.TemporaryDirectory(prefix="pams_tf_vela_") as folder:
        network = Path(folder, "network.tflite")  # Vela recognizes the format by the suffix
        shutil.copyfile(source, network)
        _compile(program, network, accelerator, str(source))
        compiled = read_file(network.with_name("network_vela.tflite"))
        summary = _summary(network)
    left = Counter(name for name in compiled.operators if name != _COMMAND)
    return Placement(
        accelerator=accelerator,
        system=summary["system_config"],
        memory_mode=summary["memory_mode"],
        npu=dict(Counter(info.operators) - left),
        cpu=dict(left),
        cycles=int(summary["cycles_total"]),
        macs=int(summary["nn_macs"]),
        clock_hz=int(float(summary["core_clock"])),
        inferences_per_second=float(summary["inferences_per_second"]),
        sram_bytes=_kib(summary, "sram_memory_used"),
        dram_bytes=_kib(summary, "dram_memory_used"),
        flash_bytes=_kib(summary, "on_chip_flash_memory_used", "off_chip_flash_memory_used"),
    )


def _compile(program: str, network: Path, accelerator: str, name: str) -> None:
    result = subprocess.run(
        [
            program,
            str(network),
            f"--accelerator-config={accelerator}",
            f"--output-dir={network.parent}",
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode == 0 and network.with_name("network_vela.tflite").exists():
        return
    output = f"{result.stdout}\n{result.stderr}".splitlines()
    lines = [line for line in output if line.strip() and not line.startswith("Warning")]
    reason = lines[-1].strip() if lines else f"status {result.returncode}, no message"
    raise InputError(f"{name}: Vela cannot compile it for {accelerator} ({reason})")


def _summary(network: Path) -> dict[str, str]:
    # The file name ends in the name of the assumed system.
    (path,) = network.parent.glob(f"{network.stem}_summary_*.csv")
    with path.open(newline="") as file:
        return next(csv.DictReader(file))


def _kib(summary: dict[str, str], *names: str) -> int:
    return round(1024 * sum(float(summary[name]) for name in names))
