"""Settings of training runs: frozen, validated, and saved in the run folder."""

import dataclasses
from typing import Any, ClassVar, Self

from pams_tf.errors import InputError
from pams_tf.recipe import FEW, INITIAL_RANGES, INITIAL_WEIGHTS, QuantizationRecipe

OPTIMIZERS = ("adam", "muon")
SCHEDULES = ("halving", "cosine")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STARTS = ("random", "interpolation")
RUN_RANGES = (*INITIAL_RANGES, "random")
TARGETS = ("hr", "teacher")
ALPHA_RATES = ("absolute", "relative")


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """The settings that all runs have.

    Example:
      >>> from pams_tf.training.settings import RunSettings
      >>> RunSettings(model="edsr_mobile", scale=2).replace(batch_size=8).batch_size
      8

    Attributes:
      model, scale, overrides: preset, upscaling factor and overrides, as in `models.build`.
      data: folder of training images; None for the built-in photographs.
      valid_data: folder of validation images; None for the built-in ones.
      steps, batch_size, patch_size: number of steps, crops per batch, and side of a crop in LR
        pixels.
      optimizer: of the weights, "adam" or "muon"; see `optimizers.Muon`.
      learning_rate: initial learning rate.
      schedule: "halving" every `halve_every` steps, or "cosine" decay to 0 at the end.
      warmup: steps over which the learning rates first rise from 0.
      clip_norm: longest gradient of the weights, as a Euclidean norm over all of them; a longer one
        is scaled down. 0 for no limit.
      ema: decay of a moving average of what is trained, which is validated, kept and exported in
        its place; 0 for none. It reaches back 1 / (1 - ema) steps.
      checkpoint_every: steps between checkpoints; each one includes a validation.
      log_every: steps between rows of the logs.
      luma_weight: weight of the luma in L1, see `image_loss.l1`; 0 in the paper.
      output_weight: weight of a second L1, to the teacher's images, beside that to the HR images;
        0 for none.
      seed: seed of the weights and of the data order.
      graphics: share of the crops that are of drawn pictures: flat and saturated patches,
        gradients, text and line art; see `data.graphics`.
      precision: "float32", or "mixed_bfloat16" or "mixed_float16": convolutions in that type, and
        variables, quantizers and losses in float32. In a student, the sums of integer codes, which
        are exact, stay float32.

    Raises:
      InputError: a field has an impossible value; the message repeats it and says what to give.

    Source: Li et al., ECCV 2020, Section 4.1, for what a run of the paper has.
    """

    LEAST_STEPS: ClassVar[int] = 1

    model: str = "edsr_baseline"
    scale: int = 4
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)
    data: str | None = None
    valid_data: str | None = None
    steps: int = 300
    batch_size: int = 16
    patch_size: int = 48
    optimizer: str = "adam"
    learning_rate: float = 1e-4
    schedule: str = "halving"
    halve_every: int = 100
    warmup: int = 0
    clip_norm: float = 0.0
    ema: float = 0.0
    checkpoint_every: int = 100
    log_every: int = 10
    luma_weight: float = 0.0
    output_weight: float = 0.0
    seed: int = 1
    graphics: float = 0.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        least = self.LEAST_STEPS
        self._require("steps", self.steps >= least, f"give a whole number from {least} up")
        for name in (
            "batch_size",
            "patch_size",
            "halve_every",
            "checkpoint_every",
            "log_every",
        ):
            self._require(name, getattr(self, name) >= 1, "give a whole number from 1 up")
        self._require("learning_rate", self.learning_rate > 0, "give a number above 0")
        self._require("seed", self.seed >= 0, "give a whole number from 0 up")
        self._require("warmup", self.warmup >= 0, "give a whole number from 0 up")
        self._require("warmup", self.warmup <= max(self.steps, 1), "give no more than the steps")
        self._require("luma_weight", self.luma_weight >= 0, "give 0 or more")
        self._require("output_weight", self.output_weight >= 0, "give 0 or more")
        self._require("clip_norm", self.clip_norm >= 0, "give 0 or more")
        self._require("ema", 0 <= self.ema < 1, "give 0, or a number below 1 such as 0.999")
        self._require("graphics", 0 <= self.graphics <= 1, "give a share from 0 to 1")
        self._require(
            "optimizer", self.optimizer in OPTIMIZERS, f"choose {' or '.join(OPTIMIZERS)}"
        )
        self._require("schedule", self.schedule in SCHEDULES, f"choose {' or '.join(SCHEDULES)}")
        self._require(
            "precision", self.precision in PRECISIONS, f"choose {' or '.join(PRECISIONS)}"
        )

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
    """Settings of a run of a float network.

    Attributes:
      start: initial weights: "random", or "interpolation", which are random except for a path that
        interpolates the image.
      start_weights: a float network of the same size whose weights replace them, a `.keras` file, a
        run, or a name in the zoo: to go on from what another run has reached, or, at another scale,
        from all but the weights that depend on it.
      teacher: a larger float network of the same scale, for `output_weight`: a `.keras` file, a
        run, or a name in the zoo.
    """

    start: str = "random"
    start_weights: str | None = None
    teacher: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(
            "output_weight",
            bool(self.output_weight) == (self.teacher is not None),
            "give a weight above 0 and a teacher together, or neither",
        )
        self._require("start", self.start in STARTS, f"choose {' or '.join(STARTS)}")


@dataclasses.dataclass(frozen=True)
class DistillationSettings(RunSettings):
    """Settings of a run of a quantized student, which starts from its teacher.

    `finetune` makes them of a budget and its own arguments; `training.jobs.distil` takes them. The
    other fields are those of `RunSettings`.

    Example:
      >>> from pams_tf.training.settings import DistillationSettings
      >>> settings = DistillationSettings(model="edsr_mobile", scale=2, steps=100)
      >>> settings.replace(schedule="cosine").schedule
      'cosine'

    Attributes:
      teacher: a `.keras` file, a float run, or None for the float weights in the package.
      alpha_learning_rate: initial learning rate of the alphas' own Adam, with the same schedule.
      alpha_rate: "absolute", in grey levels (paper); or "relative" to each alpha, so that one rate
        does for ranges of 1 and of 300. Learned clips of kernels then have it, too; otherwise they
        have that of the weights.
      skt_weight: lambda of Eq. 7; 0 for L1 alone.
      overflow_weight, damping: see `Distiller`; 0 for none.
      calibration_steps: number of batches that Eq. 4 sees before the first step.
      skt_layer: the layer of a network of the user's own whose result SKT compares; None for the
        input of the last convolution before the enlargement.
      target: "hr" for L1 to the HR images; "teacher" for L1 to the teacher's images: a network
        keeps its look, and `data` may be any folder of LR images.
      image_range: the value of white in the teacher's input and output, if it is a Keras model that
        does not come from `pams_tf`.
      initial_range: "ema" for ranges from Eq. 4; "error" for those with the smallest error of the
        image, see `quantization.search_ranges`; or "random" for ranges uniform in [0, 128], drawn
        with the seed (paper, Table 5).
      initial_weights: "teacher" for the weights of the teacher, or "fitted" for kernels rounded so
        that every convolution computes what the teacher's does, see `models.fit_kernels`.

    Raises:
      InputError: a field has an impossible value; the message repeats it and says what to give.

    Source: Li et al., ECCV 2020, Section 4.1, and the released code.
    """

    LEAST_STEPS: ClassVar[int] = 0  # only calibrated

    teacher: str | None = None
    alpha_learning_rate: float = 1e-2
    alpha_rate: str = "absolute"
    skt_weight: float = 1000.0
    overflow_weight: float = 0.0
    damping: float = 0.0
    calibration_steps: int = 16
    initial_range: str = "ema"
    initial_weights: str = "teacher"
    skt_layer: str | None = None
    target: str = "hr"
    image_range: float = 255.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("target", self.target in TARGETS, f"choose {' or '.join(TARGETS)}")
        self._require(
            "graphics", not self.graphics or self.target == "hr", "give it with --target hr"
        )
        self._require("image_range", self.image_range > 0, "give 255 or 1")
        self._require(
            "alpha_rate", self.alpha_rate in ALPHA_RATES, f"choose {' or '.join(ALPHA_RATES)}"
        )
        self._require(
            "alpha_learning_rate",
            self.alpha_rate == "absolute" or self.alpha_learning_rate < 1,
            "give a relative rate below 1",
        )
        self._require("alpha_learning_rate", self.alpha_learning_rate > 0, "give a number above 0")
        for name in ("skt_weight", "overflow_weight", "damping"):
            self._require(name, getattr(self, name) >= 0, "give 0 or more")
        self._require(
            "output_weight",
            not self.output_weight or self.target == "hr",
            "with target='teacher' L1 compares with the teacher's images already",
        )
        self._require(
            "calibration_steps", self.calibration_steps >= 1, "give a whole number from 1 up"
        )
        self._require(
            "initial_range",
            self.initial_range in RUN_RANGES,
            f"choose one of {', '.join(RUN_RANGES)}",
        )
        self._require(
            "initial_weights",
            self.initial_weights in INITIAL_WEIGHTS,
            f"choose {' or '.join(INITIAL_WEIGHTS)}",
        )


# The settings of each budget of `train`. Small networks want large patches: their border, of which
# they see less than the rest, is a smaller part of them.
TRAIN_BUDGETS: dict[str, dict[str, Any]] = {
    "short": {"steps": 1000, "schedule": "cosine", "start": "interpolation"},
    "long": {
        "steps": 30_000,
        "patch_size": 64,
        "optimizer": "muon",
        "learning_rate": 6e-3,
        "schedule": "cosine",
        "warmup": 500,
        "clip_norm": 10.0,
        "ema": 0.999,
        "luma_weight": 0.5,
        "start": "interpolation",
        "checkpoint_every": 1000,
        "log_every": 100,
    },
}


def train_budget(name: str) -> dict[str, Any]:
    """Fields of `TrainingSettings` for a budget.

    Raises:
      InputError: the budget is unknown.
    """
    return dict(_budget(name, TRAIN_BUDGETS))


def _budget(name: str, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if name not in known:
        raise InputError(f"unknown budget {name!r}; choose one of {', '.join(known)}")
    return known[name]


# The settings of each budget of `finetune`; "paper" follows its Section 4.1 and the released code.
# The paper's learning rate costs quality at first, which a short run cannot recover, so a shorter
# run has a smaller one.
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
    "long": {
        "steps": 3000,
        "learning_rate": 1e-4,
        "schedule": "cosine",
        "warmup": 50,
        "clip_norm": 10.0,
        "ema": 0.995,
        "checkpoint_every": 250,
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


# At 4 bits the ranges alone cost decibels, which only the larger learning rate recovers: after 100
# steps at batch size 8, EDSR-baseline x4 reached 29.38 dB with it, and 28.73 dB with that of a
# short run.
FEW_BITS = {"learning_rate": 1e-4}
# Long enough for Muon: EDSR-baseline x4 lost 0.19 dB on Set5 after 600 steps of it, and 0.46 dB
# after 400 of Adam.
FEW_BITS_LONG = {"optimizer": "muon", "learning_rate": 1.5e-3}


def finetune_budget(name: str, bits: int) -> dict[str, Any]:
    """Fields of `DistillationSettings` for a budget and the bit width of the body.

    Raises:
      InputError: the budget is unknown.
    """
    fields = dict(_budget(name, FINETUNE_BUDGETS))
    if bits <= FEW:
        fields |= FEW_BITS_LONG if name == "long" else FEW_BITS
    return fields


def paper_patch_size(model: str, scale: int) -> int:
    """The paper's LR patch size: 48, or 24 for RDN at x4."""
    return 24 if model.startswith("rdn") and scale == 4 else 48


def best_settings(recipe: QuantizationRecipe) -> dict[str, Any]:
    """Fields of `DistillationSettings` that measured best for a recipe; not those of the paper."""
    few = recipe.method == "pams" and recipe.bits <= FEW
    return {**recipe.best_start, **({"alpha_rate": "relative"} if few else {})}


def best_by_default(method: str, bits: int, *, own: bool, budget: str | None) -> bool:
    """Whether a run has `QuantizationRecipe.best` and `best_settings` unless told otherwise.

    Args:
      method, bits: of its recipe.
      own: whether the network is one of the user's own.
      budget: "paper" for what the paper does.
    """
    return own or (method == "pams" and bits <= FEW and budget != "paper")


def run_name(
    settings: DistillationSettings, recipe: QuantizationRecipe, *, own: bool = False
) -> str:
    """The default name of a run: its network, its recipe, and what an ablation changes.

    For example `edsr_baseline_x4_pams8`, or `mine_pams8` for a network of the user's own. What
    differs from the defaults is appended, such as `_all`, `_skt0` or `_random`, but not length,
    learning rates and data: a run folder refuses values other than its own.
    """
    sizes = "".join(f"_{key}{value}" for key, value in sorted(settings.overrides.items()))
    network = settings.model if own else f"{settings.model}_x{settings.scale}{sizes}"
    default = DistillationSettings()
    best = (
        default.replace(**best_settings(recipe)),
        QuantizationRecipe.best(recipe.bits, recipe.method),
    )
    changes = _changes(settings, recipe, *best)
    if not own:
        paper = _changes(settings, recipe, default, QuantizationRecipe())
        changes = min(paper, ["best", *changes], key=len)
    return "_".join([network, f"{recipe.method}{recipe.bits}", *changes])


def _changes(
    settings: DistillationSettings,
    recipe: QuantizationRecipe,
    default: DistillationSettings,
    plain: QuantizationRecipe,
) -> list[str]:
    """Words for what differs from a setting and a recipe."""
    changes = [
        (recipe.scope, recipe.scope != plain.scope),
        ("channel" if recipe.per_channel else "tensor", recipe.per_channel != plain.per_channel),
        (recipe.alpha_gradient, recipe.alpha_gradient != plain.alpha_gradient),
        (f"ends{recipe.head_tail_bits}", recipe.head_tail_bits != plain.head_tail_bits),
        ("unsigned" if recipe.unsigned else "signed", recipe.unsigned != plain.unsigned),
        ("equalized" if recipe.equalize else "unequal", recipe.equalize != plain.equalize),
        (f"clip-{recipe.weight_range}", recipe.weight_range != plain.weight_range),
        (
            "asymmetric" if recipe.asymmetric else "symmetric",
            recipe.asymmetric != plain.asymmetric,
        ),
        (f"mixed{len(recipe.layer_bits)}", recipe.layer_bits != plain.layer_bits),
        (f"skt{settings.skt_weight:g}", settings.skt_weight != default.skt_weight),
        (settings.initial_range, settings.initial_range != default.initial_range),
        (settings.initial_weights, settings.initial_weights != default.initial_weights),
        (settings.alpha_rate, settings.alpha_rate != default.alpha_rate),
        (f"seed{settings.seed}", settings.seed != default.seed),
    ]
    return [name for name, changed in changes if changed]
