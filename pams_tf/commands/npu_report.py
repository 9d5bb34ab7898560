"""Report how a .tflite file runs on an Arm Ethos-U: placement, cycles and memory.

Example:
  pams-npu-report --tflite edsr_x4.tflite --accelerator ethos-u55-256,ethos-u85-1024

Compiles the file for each accelerator with Arm's Vela (pip install 'pams_tf[npu]') and reads Vela's
estimates for its default system. An operator on the CPU also costs a switch to the CPU and back;
its own time is not included in the cycles. Files from pams-to-tflite --target npu have no such
operators.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from absl import flags

from pams_tf.commands import cli
from pams_tf.errors import InputError

FLAGS = cli.command_flags()
flags.DEFINE_string("tflite", None, "The .tflite file.", required=True, flag_values=FLAGS)
flags.DEFINE_string(
    "accelerator",
    "ethos-u55-256,ethos-u65-512,ethos-u85-1024",
    "Vela's names of the accelerators, separated by commas.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "vela",
    None,
    "Vela's executable. Default: the one on PATH, or installed beside pams_tf.",
    flag_values=FLAGS,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_npu_report, FLAGS, __doc__, argv)


def _npu_report() -> list[dict[str, Any]]:
    accelerators = [name.strip() for name in FLAGS.accelerator.split(",")]
    if "" in accelerators:
        raise InputError(f"--accelerator={FLAGS.accelerator} has an empty name; remove it")

    from pams_tf.export.vela import place
    from pams_tf.reporting.tables import print_table

    with ThreadPoolExecutor() as pool:  # each waits for a Vela of its own
        placements = list(
            pool.map(lambda name: place(FLAGS.tflite, name, FLAGS.vela), accelerators)
        )
    print_table(
        f"{FLAGS.tflite}: Vela's estimate of one inference",
        ("", *(p.accelerator for p in placements)),
        [
            (label, *map(cell, placements))
            for label, cell in (
                ("on the NPU", lambda p: str(sum(p.npu.values()))),
                ("on the CPU", lambda p: _names(p.cpu)),
                ("million cycles", lambda p: f"{p.cycles / 1e6:,.2f}"),
                ("inferences/s", lambda p: f"{p.inferences_per_second:,.2f}"),
                ("SRAM", lambda p: _memory(p.sram_bytes)),
                ("DRAM", lambda p: _memory(p.dram_bytes)),
                ("flash", lambda p: _memory(p.flash_bytes)),
                ("clock, MHz", lambda p: f"{p.clock_hz / 1e6:,.0f}"),
            )
        ],
    )
    for p in placements:
        print(f"{p.accelerator}: system {p.system}, memory mode {p.memory_mode}")
    return [placement.as_json() for placement in placements]


def _names(operators: dict[str, int]) -> str:
    return "\n".join(f"{count} {name}" for name, count in operators.items()) or "none"


def _memory(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size else "-"
