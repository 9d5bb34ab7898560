"""The machine and the software that a report was made with."""

import functools
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

# What decides how fast integers and bfloat16 are: the names of Linux, for x86 and for Arm.
FEATURES = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "avx512_bf16", "amx_bf16",
    "asimddp", "i8mm", "bf16",
)  # fmt: skip


@functools.lru_cache
def processor_features() -> tuple[str, ...] | None:
    """Those of `FEATURES` that the processor has; None where they cannot be read."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return tuple(name for name in FEATURES if name in value.split())
    return None


def bfloat16_support() -> bool | None:
    """Whether the processor multiplies bfloat16 itself; None where that is not known."""
    features = processor_features()
    if features is None:
        return None
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(features))


@functools.lru_cache
def machine() -> dict[str, Any]:
    """CPU model, cores that this process may use, GPUs, operating system and versions."""
    import tensorflow as tf

    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    return {
        "cpu": _cpu_model(),
        "cores": cores,
        "gpus": gpus,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
        "keras": version("keras"),
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
