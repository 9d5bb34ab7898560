"""Arm's Vela compiler: which operators of a file an Ethos-U takes, and what it estimates for them.

Vela is the package `ethos-u-vela`; here it is a program, run beside us.
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
_COMMAND = "CUSTOM ethos-u"  # what Vela puts in the place of the operators it has compiled


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where a file's operators run on one accelerator, and Vela's estimate of the NPU's part.

    Attributes:
      accelerator: such as "ethos-u55-256": the family and its multiplications a cycle.
      system, memory_mode: the configuration that Vela assumed, its default for the accelerator.
      npu, cpu: operators of the file by built-in name, and how many of them.
      cycles: of one inference, the larger of computing and of memory for each operator. What runs
        on the CPU is not in it.
      macs: multiplications of one inference.
      clock_hz: of the assumed system.
      inferences_per_second: clock_hz / cycles.
      sram_bytes, dram_bytes, flash_bytes: memory used; weights lie in flash or DRAM.
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
    """The vela program: `path`, or the one on PATH, or the one beside this Python.

    Raises:
      InputError: there is none; says how to install it.
    """
    if path is not None:
        found = shutil.which(path)
        if found is None:
            raise InputError(f"{path}: no such program; give the path of Vela's executable")
        return found
    found = shutil.which("vela") or shutil.which("vela", path=str(Path(sys.executable).parent))
    if found is None:
        raise InputError(
            "Arm's Vela compiler is not installed; pip install 'pams_tf[npu]' (or ethos-u-vela "
            "elsewhere, and give its vela as --vela PATH)"
        )
    return found


def place(
    source: str | os.PathLike[str],
    accelerator: str,
    vela: str | os.PathLike[str] | None = None,
) -> Placement:
    """Compile a .tflite file for an accelerator with Vela, and read what became of it.

    Args:
      source: an integer .tflite file.
      accelerator: a name that Vela knows, see `ACCELERATORS`.
      vela: its executable, where `find_vela` would not find it.

    Raises:
      InputError: no Vela, an accelerator unknown to it, a file that is missing, truncated or
        without int8 tensors, or one that Vela cannot compile.
    """
    program = find_vela(vela)
    info = read_file(source)
    if not any(tensor.dtype == "int8" for tensor in info.tensors):
        raise InputError(
            f"{source}: no integer file, and an Ethos-U computes in integers alone; "
            "export it with tools/to_tflite.py"
        )
    if any(tensor.dtype == "int4" for tensor in info.tensors):
        raise InputError(
            f"{source}: Vela takes no int4 kernels; export the file with --weights int8"
        )
    with tempfile.TemporaryDirectory(prefix="pams_tf_vela_") as folder:
        network = Path(folder, "network.tflite")  # Vela goes by the ending
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
    # The name ends in that of the assumed system.
    (path,) = network.parent.glob(f"{network.stem}_summary_*.csv")
    with path.open(newline="") as file:
        return next(csv.DictReader(file))


def _kib(summary: dict[str, str], *names: str) -> int:
    return round(1024 * sum(float(summary[name]) for name in names))
