"""The networks that tables and figures need: given, or trained in a run of their own."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pams_tf import zoo
from pams_tf.data import datasets
from pams_tf.errors import InputError
from pams_tf.recipe import QuantizationRecipe
from pams_tf.reproduce.budgets import Budget
from pams_tf.runs import RunFolder
from pams_tf.training.settings import (
    DistillationSettings,
    RunSettings,
    TrainingSettings,
    paper_patch_size,
)


@dataclasses.dataclass(frozen=True)
class Bicubic:
    """Bicubic interpolation, which needs no training."""

    scale: int

    @property
    def name(self) -> str:
        return f"bicubic_x{self.scale}"


@dataclasses.dataclass(frozen=True)
class Given:
    """An existing float network: shipped with the package, or the user's."""

    path: Path
    scale: int

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def shipped(self) -> bool:
        return self.path.parent == zoo.FOLDER


@dataclasses.dataclass(frozen=True)
class Job:
    """A network that is trained in a run.

    Attributes:
      name: readable name of the run folder, with a digest of everything that affects the result.
      settings: settings of the run; `DistillationSettings` for a student.
      recipe: recipe of a student; None for a float network.
      teacher: teacher of a student.
      run: the run folder.
    """

    name: str
    settings: RunSettings
    recipe: QuantizationRecipe | None
    teacher: "Given | Job | None"
    run: RunFolder

    @property
    def scale(self) -> int:
        return self.settings.scale

    @property
    def done(self) -> bool:
        return self.run.student.is_file() or self.run.model.is_file()

    @property
    def state(self) -> str:
        """ "done", "partial" or "missing"."""
        if self.done:
            return "done"
        return "partial" if self.run.newest.is_file() else "missing"


Network = Bicubic | Given | Job


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """Provides the networks of a budget. Nothing is trained or loaded here.

    Attributes:
      budget: sizes and settings.
      runs: folder that holds the run folders.
      data: training images; None for the built-in photographs.
      teachers: folder of float networks MODEL_xSCALE.keras, which take precedence over all others.
    """

    budget: Budget
    runs: Path
    data: str | None = None
    teachers: Path | None = None

    def bicubic(self, scale: int) -> Bicubic | None:
        """Bicubic, if the budget has the scale."""
        return Bicubic(scale) if scale in self.budget.scales else None

    def float_network(self, family: str, scale: int = 4) -> Given | Job | None:
        """A family's float network; None if it is not part of the budget."""
        if family not in self.budget.families or scale not in self.budget.scales:
            return None
        return self._teacher(*self.budget.families[family], scale)

    def student(
        self,
        family: str,
        method: str,
        bits: int,
        scale: int = 4,
        unsigned: bool = False,
        alpha_gradient: str = "rounding",
        **changes: Any,
    ) -> Job | None:
        """A family's quantized network; None if it is not part of the budget.

        Args:
          family: "EDSR" or "RDN".
          method, bits, unsigned, alpha_gradient: fields of the recipe. Only PAMS uses the gradient;
            the default is that of the released code, which produced the paper's numbers.
          scale: upscaling factor.
          changes: fields of `DistillationSettings` that replace the budget's.
        """
        teacher = self.float_network(family, scale)
        if teacher is None:
            return None
        preset, overrides = self.budget.families[family]
        recipe = _recipe(method, bits, unsigned, alpha_gradient)
        return self._student(teacher, preset, overrides, scale, recipe, changes)

    def ablated_float(self, batch_norm: bool) -> Given | Job:
        """The float x4 EDSR of Table 4 and Figure 2, with or without batch normalization.

        Both are trained alike, so a shipped network, which was trained differently, is never used.
        """
        preset, overrides = self._ablated(batch_norm)
        return self._teacher(preset, overrides, 4, shipped=False)

    def ablated_student(self, batch_norm: bool, method: str, bits: int) -> Job:
        """The student of `ablated_float`."""
        preset, overrides = self._ablated(batch_norm)
        teacher = self.ablated_float(batch_norm)
        return self._student(teacher, preset, overrides, 4, _recipe(method, bits), {})

    def _ablated(self, batch_norm: bool) -> tuple[str, dict[str, Any]]:
        preset, overrides = self.budget.batch_norm
        return preset, {**overrides, **({"batch_norm": True} if batch_norm else {})}

    def _teacher(
        self, preset: str, overrides: dict[str, Any], scale: int, shipped: bool = True
    ) -> Given | Job:
        file = f"{preset}_x{scale}.keras"
        folders = [self.teachers] if self.teachers else []
        folders += [zoo.FOLDER] if self.budget.ships and shipped else []
        if not overrides:
            for folder in folders:
                if (folder / file).is_file():
                    return Given(folder / file, scale)
        settings = TrainingSettings(
            model=preset,
            scale=scale,
            overrides=overrides,
            data=self.data,
            **self._with_patch(self.budget.teacher, preset, scale),
        )
        return self._job(settings, None, None)

    def _student(
        self,
        teacher: Given | Job,
        preset: str,
        overrides: dict[str, Any],
        scale: int,
        recipe: QuantizationRecipe,
        changes: dict[str, Any],
    ) -> Job:
        if isinstance(teacher, Job):
            source: str | None = str(teacher.run.path)
        else:
            source = None if teacher.shipped else str(teacher.path)
        fields = self.budget.student | (self.budget.few_bits if recipe.bits <= 4 else {})
        if recipe.method in ("pams", "pact"):
            fields |= self.budget.learned_ranges
        settings = DistillationSettings(
            model=preset,
            scale=scale,
            overrides=overrides,
            data=self.data,
            teacher=source,
            **(self._with_patch(fields, preset, scale) | changes),
        )
        return self._job(settings, recipe, teacher)

    def _with_patch(self, fields: dict[str, Any], preset: str, scale: int) -> dict[str, Any]:
        return {"patch_size": paper_patch_size(preset, scale)} | fields

    def _job(
        self,
        settings: RunSettings,
        recipe: QuantizationRecipe | None,
        teacher: Given | Job | None,
    ) -> Job:
        digest = hashlib.sha256(
            json.dumps(
                {
                    "settings": _told(settings, ("data", "valid_data", "teacher")),
                    "recipe": _told(recipe) if recipe else None,
                    "data": _fingerprint(self.data, settings.scale),
                    "teacher": _identity(teacher),
                },
                sort_keys=True,
            ).encode()
        ).hexdigest()
        parts = [f"{settings.model}_x{settings.scale}"]
        parts += ["bn"] if settings.overrides.get("batch_norm") else []
        if recipe:
            parts.append(f"{recipe.method}{recipe.bits}")
            assert isinstance(settings, DistillationSettings)
            parts += ["noskt"] if settings.skt_weight == 0 else []
            parts += ["random"] if settings.initial_range == "random" else []
        name = "_".join([*parts, digest[:8]])
        return Job(name, settings, recipe, teacher, RunFolder(self.runs / name))


def network_file(network: "Given | Job | Bicubic") -> Path:
    """The network's `.keras` file.

    Raises:
      InputError: its run has not finished.
    """
    assert not isinstance(network, Bicubic)
    return network.run.network() if isinstance(network, Job) else network.path


def with_teachers(networks: Sequence[Network | None]) -> list[Job]:
    """The runs of these networks, without duplicates, with teachers before their students."""
    jobs: dict[str, Job] = {}
    for network in networks:
        if isinstance(network, Job):
            if isinstance(network.teacher, Job):
                jobs.setdefault(network.teacher.name, network.teacher)
            jobs.setdefault(network.name, network)
    return list(jobs.values())


def _told(fields: Any, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Fields that differ from their defaults, so that a new setting does not rename old runs."""
    told = {}
    for field in dataclasses.fields(fields):
        value = getattr(fields, field.name)
        default = (
            field.default_factory()
            if field.default_factory is not dataclasses.MISSING
            else field.default
        )
        if field.name not in without and value != default:
            told[field.name] = value
    return told


@functools.lru_cache
def _fingerprint(data: str | None, scale: int) -> str | None:
    """A digest of the names and sizes of the training images, independent of their folder."""
    if data is None:
        return None
    pairs = datasets.find(data, scale)
    digest = hashlib.sha256()
    try:
        for hr, lr in zip(pairs.hr, pairs.lr, strict=True):
            sizes = [path.stat().st_size if path else None for path in (hr, lr)]
            digest.update(f"{hr.name} {sizes}\n".encode(errors="surrogateescape"))
    except OSError as error:
        raise InputError(f"{data}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def _identity(teacher: Given | Job | None) -> str | None:
    if isinstance(teacher, Given):
        return file_digest(teacher.path)
    return teacher.name if teacher else None


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
      InputError: it cannot be read.
    """
    try:
        stat = path.stat()
        return _digest(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


@functools.lru_cache
def _digest(path: Path, size: int, changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _recipe(
    method: str, bits: int, unsigned: bool = False, alpha_gradient: str = "rounding"
) -> QuantizationRecipe:
    recipe = QuantizationRecipe(method=method, bits=bits, unsigned=unsigned)
    return recipe.replace(alpha_gradient=alpha_gradient) if method == "pams" else recipe
