"""PSNR and SSIM of networks on benchmarks, measured once and kept."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from pams_tf.data import datasets
from pams_tf.data.datasets import ImagePairs
from pams_tf.errors import InputError
from pams_tf.evaluation.benchmark import evaluate
from pams_tf.evaluation.upscaler import bicubic, keras_upscale
from pams_tf.files import write_text
from pams_tf.litert.tiling import Upscale
from pams_tf.reading import read_json
from pams_tf.reproduce.budgets import BUILT_IN, Budget
from pams_tf.reproduce.networks import Bicubic, Job, Network, file_digest, network_file


@dataclasses.dataclass(frozen=True)
class Benchmarks:
    """The benchmark sets of one reproduction.

    Attributes:
      directory: folder of the benchmarks, or None.
      names: the available sets, in the paper's order.
      missing: the sets that are not available; their cells stay empty.
    """

    directory: str | None
    names: tuple[str, ...]
    missing: tuple[str, ...]

    def pairs(self, name: str, scale: int) -> ImagePairs:
        """The image pairs of an available set."""
        if name == BUILT_IN:
            return datasets.sample(scale, "valid")
        assert self.directory is not None
        return datasets.benchmark(self.directory, name, scale)


def find_benchmarks(
    budget: Budget, directory: str | None, wanted: list[str] | None = None
) -> Benchmarks:
    """Find the available sets.

    Args:
      budget: the budget, which lists the sets.
      directory: folder of the benchmarks, or None.
      wanted: sets that must be available; None for every set of the paper that is found.

    Raises:
      InputError: a wanted set is missing or not one of the paper's, the folder holds none of
        them, or there is no folder and the budget needs one.
    """
    for name in wanted or []:
        if name not in budget.sets:
            raise InputError(
                f"unknown set {name!r}; the {budget.name} budget has {', '.join(budget.sets)}"
            )
    asked = [name for name in budget.sets if wanted is None or name in wanted]
    there = []
    for name in asked:
        if name == BUILT_IN:
            there.append(name)
        elif directory is None:
            if wanted is not None:
                raise InputError(
                    f"the set {name} needs --benchmark_dir, the folder that holds {name}/HR"
                )
        elif wanted is not None:
            datasets.benchmark(directory, name, budget.scales[0])  # its error lists what is there
            there.append(name)
        elif (Path(directory) / name / "HR").is_dir():
            there.append(name)
    if directory is not None and wanted is None and set(there) <= {BUILT_IN}:
        datasets.benchmark(directory, asked[0], budget.scales[0])
    if not there:
        raise InputError(
            f"the {budget.name} budget needs --benchmark_dir, the folder that holds "
            f"{asked[0]}/HR and other sets of the paper; only smoke has images built in"
        )
    return Benchmarks(directory, tuple(there), tuple(n for n in budget.sets if n not in there))


def upscaler(network: Network) -> Upscale:
    """The network as a function of one image.

    Raises:
      InputError: its run has not finished, or its file cannot be loaded.
    """
    if isinstance(network, Bicubic):
        return bicubic(network.scale)
    from pams_tf import models

    return keras_upscale(models.load(network_file(network)))


class Measurements:
    """PSNR and SSIM of networks on sets; earlier results are reused.

    A result is identified by the content of the network's file and by the files of the set.

    Args:
      folder: folder of the results.
      benchmarks: the sets.
    """

    def __init__(self, folder: Path, benchmarks: Benchmarks) -> None:
        self.folder = folder
        self.benchmarks = benchmarks

    def kept(self, network: Network, name: str) -> dict[str, Any] | None:
        """An earlier result, as returned by `BenchmarkResult.as_json`; None if there is none."""
        if isinstance(network, Job) and not network.done:
            return None
        try:
            return read_json(self._path(network, name))
        except InputError:  # absent or damaged: it is measured again
            return None

    def result(self, network: Network, name: str, *, progress: bool = False) -> dict[str, Any]:
        """The earlier result, or a new one, which is kept.

        Raises:
          InputError: the network or an image cannot be used, or the result cannot be written.
        """
        kept = self.kept(network, name)
        if kept is None:
            pairs = self.benchmarks.pairs(name, network.scale)
            measured = evaluate(upscaler(network), pairs, label=network.name, progress=progress)
            kept = measured.as_json()
            write_text(self._path(network, name), json.dumps(kept, indent=1) + "\n")
        return kept

    def _path(self, network: Network, name: str) -> Path:
        pairs = self.benchmarks.pairs(name, network.scale)
        digest = hashlib.sha256(f"{network.scale}".encode())
        for path in (*pairs.hr, *pairs.lr):
            line = f"\n{path.name} {path.stat().st_size}" if path else "\n-"
            digest.update(line.encode(errors="surrogateescape"))
        if not isinstance(network, Bicubic):
            digest.update(file_digest(network_file(network)).encode())
        return self.folder / f"{network.name}_{name}_{digest.hexdigest()[:12]}.json"
