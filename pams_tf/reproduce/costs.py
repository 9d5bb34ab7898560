"""The cost of a plan before it starts: disk space and time."""

import functools
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pams_tf import models
from pams_tf.data.datasets import ImagePairs, find_or_sample, sample
from pams_tf.data.opening import picture_size
from pams_tf.data.packed import cache_folder, missing_bytes
from pams_tf.errors import InputError
from pams_tf.files import write_text
from pams_tf.reading import read_json
from pams_tf.reporting.machine import machine
from pams_tf.reproduce.networks import Job, Network
from pams_tf.training.checkpoints import saved_state
from pams_tf.training.descent import step_function
from pams_tf.training.distillation import Distiller
from pams_tf.training.optimizers import AveragingAdam, optimizer, scheduled
from pams_tf.training.regression import Regression
from pams_tf.training.replicas import choose_replicas
from pams_tf.training.settings import DistillationSettings
from pams_tf.training.validation import validation

# Two checkpoints are kept while a third is written; each has Adam's two moments per weight.
_CHECKPOINTS, _MOMENTS = 3, 2
_LOGS = 4 << 20
_TIMED_BATCH = 4
_WARM = 5.0  # seconds compared to which the time for tracing a graph is negligible
_TELLING = 20  # with fewer steps, building the graphs takes longer than the steps themselves


def steps_done(job: Job) -> int:
    """The number of steps of a run that are already done."""
    if job.done:
        return job.settings.steps
    return saved_state(job.run.newest)["step"] if job.run.newest.is_file() else 0


@functools.lru_cache
def parameters(preset: str, scale: int, overrides: str) -> int:
    """The number of weights of a float network; `overrides` is sorted JSON."""
    return models.build(preset, scale, **json.loads(overrides)).count_params()


def run_bytes(job: Job) -> int:
    """The disk space that an unfinished run takes at most, in bytes."""
    settings = job.settings
    overrides = json.dumps(settings.overrides, sort_keys=True)
    weights = 4 * parameters(settings.model, settings.scale, overrides)
    return weights * (_CHECKPOINTS * (1 + _MOMENTS) + 1) + _LOGS


def check_disk(jobs: list[Job], runs: Path) -> dict[str, int]:
    """Compare the disk space that the plan needs with the free space.

    Args:
      jobs: the unfinished runs.
      runs: the folder that holds the run folders.

    Returns:
      Bytes needed for "runs" and "images" (the packed training images).

    Raises:
      InputError: one of the disks has too little space.
    """
    needed = {"runs": sum(map(run_bytes, jobs)), "images": 0}
    for data, scale in sorted({(j.settings.data or "", j.settings.scale) for j in jobs}):
        needed["images"] += missing_bytes(find_or_sample(data, scale, "train"))
    places = {"runs": _existing(runs), "images": _existing(cache_folder())}
    disks: dict[int, list[str]] = {}
    for what, place in places.items():
        disks.setdefault(place.stat().st_dev, []).append(what)
    for whats in disks.values():
        total = sum(needed[what] for what in whats)
        place = places[whats[0]]
        free = shutil.disk_usage(place).free
        if total > free:
            raise InputError(
                f"the plan needs {gigabytes(total)} for {' and '.join(whats)} ({len(jobs)} runs), "
                f"but {place} has {gigabytes(free)} free; free some space, choose other --runs or "
                "PAMS_TF_CACHE, or a smaller --budget"
            )
    return needed


class Speed:
    """Seconds per step and per validation, measured on this machine and kept beside the runs.

    Args:
      path: the JSON file that stores them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._known: dict[str, dict[str, float]] = read_json(path)
        except InputError:
            self._known = {}

    def untimed(self, jobs: list[Job]) -> int:
        """The number of kinds of runs that must be timed before an estimate."""
        return len({_kind(job) for job in jobs} - set(self._known))

    def of(self, job: Job) -> dict[str, float]:
        """Seconds per `step` and per `validation`; measured with a few steps if not yet known."""
        kind = _kind(job)
        if kind not in self._known:
            self._keep(kind, _timed(job))
        return self._known[kind]

    def learn(self, job: Job, steps: int, seconds: float) -> None:
        """Update the estimate with the actual time of a run."""
        if steps < _TELLING:
            return
        known = self.of(job)
        validations = 1 + steps / job.settings.checkpoint_every
        spent = seconds - validations * known["validation"]
        if spent > 0:
            self._keep(_kind(job), {**known, "step": spent / steps})

    def training_seconds(self, job: Job) -> float:
        """The estimated time for the rest of a run."""
        if job.done:
            return 0.0
        left = job.settings.steps - steps_done(job)
        known = self.of(job)
        validations = 1 + left / job.settings.checkpoint_every
        return left * known["step"] + validations * known["validation"]

    def measuring_seconds(self, network: Network, pixels: int) -> float:
        """The estimated time for a set with `pixels` LR pixels; 0 if the network was not timed."""
        if not isinstance(network, Job) or _kind(network) not in self._known:
            return 0.0
        validated = lr_pixels(_validation_pairs(network.scale))
        return self.of(network)["validation"] * pixels / validated

    def _keep(self, kind: str, seconds: dict[str, float]) -> None:
        self._known[kind] = seconds
        write_text(self._path, json.dumps(self._known, indent=1, sort_keys=True) + "\n")


def duration(seconds: float) -> str:
    """A readable duration: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def gigabytes(count: int) -> str:
    """A readable size: "0.02 GB"."""
    return f"{count / 1e9:.2f} GB"


def _timed(job: Job) -> dict[str, float]:
    """The median time of two steps on noise, after one that traces the graph.

    On a CPU the time per sample does not depend on the batch size, so a small batch is timed and
    the time is scaled.
    """
    settings = job.settings
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    batch = settings.batch_size if on_gpu else min(settings.batch_size, _TIMED_BATCH)
    network = models.build(settings.model, settings.scale, job.recipe, **settings.overrides)
    trainee: Any
    if isinstance(settings, DistillationSettings):
        teacher = models.build(settings.model, settings.scale, **settings.overrides)
        trainee = Distiller(network, teacher, settings.skt_weight)
        trainee.compile(
            optimizer(settings),
            scheduled(AveragingAdam, settings, settings.alpha_learning_rate),
        )
    else:
        trainee = Regression(network, optimizer(settings))
    rng = np.random.default_rng(0)
    side = settings.patch_size
    sides = (side, side * settings.scale)
    lr, hr = (rng.uniform(0, 255, (batch, n, n, 3)).astype(np.float32) for n in sides)
    step = step_function(trainee, choose_replicas("one"), ["loss"])
    step(lr, hr)  # traces the graph
    steps = [_seconds(lambda: step(lr, hr).numpy()) for _ in range(2)]
    pairs = find_or_sample(settings.valid_data, settings.scale, "valid")
    validate = validation(network, pairs)
    validating = _seconds(validate)
    if validating < _WARM:  # tracing is a considerable part of it
        validating = _seconds(validate)
    seconds = {
        "step": float(np.median(steps)) * settings.batch_size / batch,
        "validation": validating,
    }
    keras.backend.clear_session()
    return seconds


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _kind(job: Job) -> str:
    """The kind of a run: runs of the same kind take the same time per step."""
    settings = job.settings
    what = {
        "machine": machine()["cpu"],
        "gpus": machine()["gpus"],
        "model": settings.model,
        "scale": settings.scale,
        "overrides": settings.overrides,
        "batch": settings.batch_size,
        "patch": settings.patch_size,
        "method": job.recipe.method if job.recipe else None,
        "skt": bool(getattr(settings, "skt_weight", 0)),
    }
    return json.dumps(what, sort_keys=True)


@functools.lru_cache
def _validation_pairs(scale: int) -> ImagePairs:
    return sample(scale, "valid")


def lr_pixels(pairs: ImagePairs) -> int:
    """The number of LR pixels of a set, from the headers of its files."""
    sizes = [picture_size(path) for path in pairs.hr]
    return sum((height // pairs.scale) * (width // pairs.scale) for height, width in sizes)


def _existing(folder: Path) -> Path:
    folder = folder.resolve()
    while not folder.is_dir():
        folder = folder.parent
    return folder
