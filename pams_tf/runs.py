"""The run folder: the contract between the tools. Only this module knows its layout.

runs/NAME/
  settings.json     what was asked for; the same command continues the run, another is refused
  recipe.json       how the student is quantized (absent for a float run)
  checkpoints/      newest.npz, best.npz: everything the next step depends on
  student.keras     the finished student (model.keras for a float run)
  teacher.keras     the teacher, if it was given as a model in Python and not as a file
  log.csv           losses, rate and validation PSNR over the steps
  alphas.csv, .png  the ranges over the steps
  tensorboard/      the same for TensorBoard
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pams_tf.errors import BusyError, InputError
from pams_tf.files import write_text
from pams_tf.recipe import QuantizationRecipe


class RunFolder:
    """Paths in one run folder, and its settings."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.settings = self.path / "settings.json"
        self.recipe = self.path / "recipe.json"
        self.newest = self.path / "checkpoints" / "newest.npz"
        self.best = self.path / "checkpoints" / "best.npz"
        self.student = self.path / "student.keras"
        self.model = self.path / "model.keras"
        self.teacher = self.path / "teacher.keras"
        self.log = self.path / "log.csv"
        self.alphas = self.path / "alphas.csv"
        self.alpha_curves = self.path / "alphas.png"
        self.tensorboard = self.path / "tensorboard"

    def network(self) -> Path:
        """The finished network's file.

        Raises:
          InputError: there is no such run, or it has not finished; says which.
        """
        for candidate in (self.student, self.model):
            if candidate.is_file():
                return candidate
        if not self.path.is_dir():
            raise InputError(f"{self.path}: no such run folder")
        if self.settings.is_file():
            raise InputError(
                f"{self.path}: the run has no finished network yet; start its command again, "
                "it continues where it stopped"
            )
        raise InputError(f"{self.path}: not a run folder (it has no settings.json)")

    def claim(
        self,
        settings: dict[str, Any],
        recipe: QuantizationRecipe | None,
        defaults: dict[str, Any] | None = None,
    ) -> bool:
        """Begin this run, or find it begun with the same settings.

        A run has begun when it has a checkpoint; before that nothing is lost by other settings.

        Args:
          settings, recipe: what is asked for.
          defaults: what a setting is that the run, begun by an older version, does not name.

        Returns:
          True if the run was begun before.

        Raises:
          InputError: begun with other settings, each named; or the folder cannot be written.
        """
        wanted = {**settings, "recipe": recipe.to_dict() if recipe else None}
        if self.newest.is_file():
            begun = {**(defaults or {}), **self.read_settings()}
            if begun.get("recipe"):  # so do a recipe's fields have defaults
                begun["recipe"] = QuantizationRecipe.from_dict(
                    begun["recipe"], source=str(self.settings)
                ).to_dict()
            differing = [
                f"{key} was {begun.get(key)!r} and is now {wanted.get(key)!r}"
                for key in sorted(wanted)  # what only an older version had is of no effect now
                if begun.get(key) != wanted.get(key)
            ]
            if differing:
                raise InputError(
                    f"{self.path} holds a run with other settings ({'; '.join(differing)}); "
                    "choose another --name, or delete the folder to start over"
                )
            return True
        write_text(self.settings, json.dumps(wanted, indent=2) + "\n")
        if recipe:
            recipe.save(self.recipe)
        return False

    def read_settings(self) -> dict[str, Any]:
        """What the run was started with.

        Raises:
          InputError: there is none, or it cannot be read.
        """
        try:
            return json.loads(self.settings.read_text())
        except FileNotFoundError:
            raise InputError(f"{self.path}: not a run folder (it has no settings.json)") from None
        except ValueError as error:
            raise InputError(f"{self.settings}: not readable JSON ({error})") from None

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder against a second process; the system lets go if this one dies.

        Raises:
          BusyError: another process is training here.
          InputError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = open(self.path / ".lock", "w")  # noqa: SIM115 - open for the whole block
        except OSError as error:
            raise InputError(
                f"cannot write {self.path}: {error.strerror}; choose a folder you may write to"
            ) from error
        with file:
            try:
                import fcntl
            except ImportError:  # Windows: no lock, the rest works
                yield
                return
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BusyError(
                    f"{self.path}: another process is working in this run folder; "
                    "wait for it or choose another --name"
                ) from None
            yield
