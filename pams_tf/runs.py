"""The run folder, which the tools share. Only this module knows its layout.

runs/NAME/
  settings.json     the settings; the same command resumes the run, different settings are refused
  recipe.json       how the student is quantized (absent for a float run)
  checkpoints/      newest.npz, best.npz: everything the next step depends on
  student.keras     the finished student (model.keras for a float run)
  teacher.keras     the teacher, if it was passed as a Keras model rather than a file
  log.csv           losses, learning rate and validation PSNR by step
  alphas.csv, .png  the ranges by step
  tensorboard/      the same data for TensorBoard
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pams_tf.errors import BusyError, InputError
from pams_tf.files import unwritable, write_text
from pams_tf.reading import excerpt, read_json
from pams_tf.recipe import QuantizationRecipe


class RunFolder:
    """The paths and the settings of one run folder."""

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
        """The path of the finished network.

        Raises:
          InputError: there is no such run, or it has not finished; the message says which.
        """
        for candidate in (self.student, self.model):
            if candidate.is_file():
                return candidate
        if not self.path.is_dir():
            raise InputError(f"{self.path}: no such run folder")
        if self.settings.is_file():
            raise InputError(
                f"{self.path}: the run has no finished network yet; start its command again "
                "to resume where it stopped"
            )
        raise InputError(f"{self.path}: not a run folder (it has no settings.json)")

    def claim(
        self,
        settings: dict[str, Any],
        recipe: QuantizationRecipe | None,
        defaults: dict[str, Any] | None = None,
    ) -> bool:
        """Start this run, or check that it was started with the same settings.

        A run counts as started once it has a checkpoint; until then, changing its settings loses
        nothing.

        Args:
          settings, recipe: the requested settings and recipe.
          defaults: values of settings that a run started by an older version does not have.

        Returns:
          True if the run had already been started.

        Raises:
          InputError: the run was started with other settings, each of which the message names; or
            the folder cannot be written.
        """
        wanted = {**settings, "recipe": recipe.to_dict() if recipe else None}
        if self.newest.is_file():
            begun = {**(defaults or {}), **self.read_settings()}
            if begun.get("recipe"):  # an older recipe may lack fields, which have defaults
                begun["recipe"] = QuantizationRecipe.from_dict(
                    begun["recipe"], source=str(self.settings)
                ).to_dict()
            was, now = _flat(begun), _flat(wanted)
            differing = [
                f"{key} was {excerpt(was.get(key))} and is now {excerpt(now.get(key))}"
                for key in sorted(now)  # settings that only older versions had do not matter
                if was.get(key) != now.get(key)
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
        """The settings that the run was started with.

        Raises:
          InputError: there are none, or they cannot be read.
        """
        if not self.settings.exists():
            raise InputError(f"{self.path}: not a run folder (it has no settings.json)")
        settings = read_json(self.settings)
        if not isinstance(settings, dict):
            raise InputError(
                f"{self.settings}: holds {excerpt(settings)} instead of the run's settings"
            )
        return settings

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder against other processes; the lock is released if this process dies.

        Raises:
          BusyError: another process is training in this folder.
          InputError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = open(self.path / ".lock", "w")  # noqa: SIM115 - kept open for the whole block
        except OSError as error:
            raise unwritable(self.path, error) from error
        with file:
            try:
                import fcntl
            except ImportError:  # Windows: continue without a lock
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


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with each field of the recipe by itself, so that a message can name it."""
    recipe = settings.get("recipe") or {}
    rest = {key: value for key, value in settings.items() if key != "recipe"}
    return {**rest, **{f"recipe {key}": value for key, value in recipe.items()}}
