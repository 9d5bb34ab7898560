"""What a training run is asked to do: frozen, validated, saved beside it."""

import dataclasses
from typing import Any

from pams_tf.errors import InputError

SCHEDULES = ("halving", "cosine")
PRECISIONS = ("float32", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """A run of the float network.

    Attributes:
      model, scale, overrides: the network, as `models.build` takes them.
      data: folder of training images; None for the built-in photographs.
      valid_data: folder of validation images; None for the built-in ones.
      steps, batch_size, patch_size: length, and size of a batch; the patch in LR pixels.
      learning_rate: at the start.
      schedule: "halving" every `halve_every` steps, or "cosine" to 0 at the end.
      checkpoint_every: steps between checkpoints, each with a validation.
      log_every: steps between lines in the logs.
      precision: "float32" or "mixed_bfloat16" (convolutions in bfloat16, variables in float32).
      seed: of the weights and of the data order.
    """

    model: str = "edsr_baseline"
    scale: int = 4
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)
    data: str | None = None
    valid_data: str | None = None
    steps: int = 300
    batch_size: int = 16
    patch_size: int = 48
    learning_rate: float = 1e-4
    schedule: str = "halving"
    halve_every: int = 100
    checkpoint_every: int = 100
    log_every: int = 10
    precision: str = "float32"
    seed: int = 1

    def __post_init__(self) -> None:
        for name in (
            "steps",
            "batch_size",
            "patch_size",
            "halve_every",
            "checkpoint_every",
            "log_every",
        ):
            self._require(name, getattr(self, name) >= 1, "give a whole number from 1 up")
        self._require("learning_rate", self.learning_rate > 0, "give a number above 0")
        self._require("seed", self.seed >= 0, "give a whole number from 0 up")
        self._require("schedule", self.schedule in SCHEDULES, f"choose {' or '.join(SCHEDULES)}")
        self._require(
            "precision", self.precision in PRECISIONS, f"choose {' or '.join(PRECISIONS)}"
        )

    def _require(self, name: str, valid: bool, right: str) -> None:
        if not valid:
            raise InputError(f"{name}={getattr(self, name)!r} is not possible; {right}")

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class DistillationSettings(TrainingSettings):
    """A run of a quantized student.

    Attributes:
      teacher: a `.keras` file, a float run, or None for the float weights that ship.
      alpha_learning_rate: of the alphas' own Adam, with the same schedule.
      skt_weight: lambda of Eq. 7; 0 for L1 alone.
      calibration_steps: batches that Eq. 4 sees before the first step.
    """

    teacher: str | None = None
    alpha_learning_rate: float = 1e-2
    skt_weight: float = 1000.0
    calibration_steps: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("alpha_learning_rate", self.alpha_learning_rate > 0, "give a number above 0")
        self._require("skt_weight", self.skt_weight >= 0, "give 0 or more")
        self._require(
            "calibration_steps", self.calibration_steps >= 1, "give a whole number from 1 up"
        )


# What each preset of `finetune` sets; "paper" is its section 4.1 and the released code. A short
# run cannot win back what the paper's rate first shakes loose, so the shorter the smaller.
FINETUNE_PRESETS: dict[str, dict[str, Any]] = {
    "demo": {
        "steps": 60,
        "learning_rate": 3e-6,
        "halve_every": 20,
        "checkpoint_every": 20,
        "calibration_steps": 4,
    },
    "short": {
        "steps": 300,
        "learning_rate": 1e-5,
        "halve_every": 100,
        "checkpoint_every": 50,
        "calibration_steps": 16,
    },
    "paper": {
        "steps": 30_000,
        "learning_rate": 1e-4,
        "halve_every": 10_000,
        "checkpoint_every": 500,
        "calibration_steps": 100,
    },
}


def paper_patch_size(model: str, scale: int) -> int:
    """LR patch of the paper: 48, and 24 for RDN at x4."""
    return 24 if model.startswith("rdn") and scale == 4 else 48
