"""What a training run is asked to do: frozen, validated, saved beside it."""

import dataclasses
from typing import Any, Self

from pams_tf.errors import InputError
from pams_tf.recipe import QuantizationRecipe

SCHEDULES = ("halving", "cosine")
PRECISIONS = ("float32", "mixed_bfloat16")
STARTS = ("random", "interpolation")
INITIAL_RANGES = ("ema", "random")


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """What every run is asked to do.

    Attributes:
      model, scale, overrides: preset, upscaling factor and size, as `models.build` takes them.
      data: folder of training images; None for the built-in photographs.
      valid_data: folder of validation images; None for the built-in ones.
      steps, batch_size, patch_size: length, and size of a batch; the patch in LR pixels.
      learning_rate: at the start.
      schedule: "halving" every `halve_every` steps, or "cosine" to 0 at the end.
      checkpoint_every: steps between checkpoints, each with a validation.
      log_every: steps between lines in the logs.
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

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)

    def _require(self, name: str, valid: bool, right: str) -> None:
        if not valid:
            raise InputError(f"{name}={getattr(self, name)!r} is not possible; {right}")

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class TrainingSettings(RunSettings):
    """A run of a float network.

    Attributes:
      precision: "float32" or "mixed_bfloat16" (convolutions in bfloat16, variables in float32).
      start: what the first weights are: "random", or "interpolation": random but for a path through
        which the picture is interpolated.
    """

    precision: str = "float32"
    start: str = "random"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("start", self.start in STARTS, f"choose {' or '.join(STARTS)}")
        self._require(
            "precision", self.precision in PRECISIONS, f"choose {' or '.join(PRECISIONS)}"
        )


@dataclasses.dataclass(frozen=True)
class DistillationSettings(RunSettings):
    """A run of a quantized student, which starts from its teacher and computes in float32.

    Attributes:
      teacher: a `.keras` file, a float run, or None for the float weights that ship.
      alpha_learning_rate: of the alphas' own Adam, with the same schedule.
      skt_weight: lambda of Eq. 7; 0 for L1 alone.
      calibration_steps: batches that Eq. 4 sees before the first step.
      initial_range: "ema", ranges begin as Eq. 4 says, or "random", uniform in [0, 128], drawn
        from the seed (paper, Table 5).
    """

    teacher: str | None = None
    alpha_learning_rate: float = 1e-2
    skt_weight: float = 1000.0
    calibration_steps: int = 16
    initial_range: str = "ema"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("alpha_learning_rate", self.alpha_learning_rate > 0, "give a number above 0")
        self._require("skt_weight", self.skt_weight >= 0, "give 0 or more")
        self._require(
            "calibration_steps", self.calibration_steps >= 1, "give a whole number from 1 up"
        )
        self._require(
            "initial_range",
            self.initial_range in INITIAL_RANGES,
            f"choose {' or '.join(INITIAL_RANGES)}",
        )


# What each budget of `finetune` sets; "paper" is its section 4.1 and the released code. A short
# run cannot win back what the paper's rate first shakes loose, so the shorter the smaller.
FINETUNE_BUDGETS: dict[str, dict[str, Any]] = {
    "demo": {
        "steps": 40,
        "batch_size": 8,
        "patch_size": 32,
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


# At 4 bits the ranges alone cost decibels, which only the larger rate wins back: after 100 steps
# at batch 8, EDSR-baseline x4 was at 29.38 dB with it and at 28.73 dB with a short run's own.
FEW_BITS = {"learning_rate": 1e-4}


def finetune_budget(name: str, bits: int) -> dict[str, Any]:
    """Fields of `DistillationSettings` for a budget and the width of the body.

    Raises:
      InputError: unknown budget.
    """
    if name not in FINETUNE_BUDGETS:
        raise InputError(f"unknown budget {name!r}; choose one of {', '.join(FINETUNE_BUDGETS)}")
    return FINETUNE_BUDGETS[name] | (FEW_BITS if bits <= 4 else {})


def paper_patch_size(model: str, scale: int) -> int:
    """LR patch of the paper: 48, and 24 for RDN at x4."""
    return 24 if model.startswith("rdn") and scale == 4 else 48


def run_name(settings: DistillationSettings, recipe: QuantizationRecipe) -> str:
    """What to call a run: its network, its recipe, and what an ablation changes.

    `edsr_baseline_x4_pams8`; all else that is not the default is added, such as `_all`, `_skt0` or
    `_random`. Length, rates and data are not: a run folder refuses others than its own.
    """
    sizes = "".join(f"_{key}{value}" for key, value in sorted(settings.overrides.items()))
    default, plain = DistillationSettings(), QuantizationRecipe()
    changes = [
        (recipe.scope, recipe.scope != plain.scope),
        ("channel", recipe.per_channel),
        (recipe.alpha_gradient, recipe.alpha_gradient != plain.alpha_gradient),
        (f"ends{recipe.head_tail_bits}", recipe.head_tail_bits != plain.head_tail_bits),
        ("unsigned", recipe.unsigned),
        (f"skt{settings.skt_weight:g}", settings.skt_weight != default.skt_weight),
        (settings.initial_range, settings.initial_range != default.initial_range),
        (f"seed{settings.seed}", settings.seed != default.seed),
    ]
    extra = "".join(f"_{name}" for name, changed in changes if changed)
    network = f"{settings.model}_x{settings.scale}{sizes}"
    return f"{network}_{recipe.method}{recipe.bits}{extra}"
