"""Budgets of a reproduction: which networks are trained, and for how long."""

import dataclasses
from typing import Any

from pams_tf.reproduce import paper
from pams_tf.training.settings import FEW_BITS, FINETUNE_BUDGETS

BUILT_IN = "sample"
"""Name of the built-in validation photographs as a benchmark."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """Networks and settings of one reproduction.

    Attributes:
      name: "smoke", "cpu" or "paper".
      about: a one-line description.
      families: the paper's family ("EDSR", "RDN") -> (preset, overrides); families that are not in
        it are left empty in tables and figures.
      scales: upscaling factors that are trained.
      batch_norm: (preset, overrides) of Table 4 and Figure 2; `batch_norm` is added.
      student: fields of `DistillationSettings`.
      few_bits: fields of `DistillationSettings` that override `student` at 4 bits or fewer.
      learned_ranges: the same for the methods with learned ranges, PAMS and PACT.
      teacher: fields of `TrainingSettings` for float networks that must be trained.
      files: (preset, overrides) of each family's integer files in Table 3.
      ships: whether the float weights that ship with the package may be teachers.
      own_images: whether the built-in photographs are sufficient.
      seeds: seeds of Table 2's runs at 4 bits; the first is that of all other runs.
      samples: number of image patches for Figure 2.
      input_size: LR height and width of Table 3's integer files.
    """

    name: str
    about: str
    families: dict[str, tuple[str, dict[str, Any]]]
    scales: tuple[int, ...]
    batch_norm: tuple[str, dict[str, Any]]
    student: dict[str, Any]
    teacher: dict[str, Any]
    files: dict[str, tuple[str, dict[str, Any]]]
    few_bits: dict[str, Any] = dataclasses.field(default_factory=dict)
    learned_ranges: dict[str, Any] = dataclasses.field(default_factory=dict)
    ships: bool = True
    own_images: bool = False
    seeds: tuple[int, ...] = (1,)
    samples: int = 64
    input_size: tuple[int, int] = (180, 320)

    @property
    def sets(self) -> tuple[str, ...]:
        """The paper's benchmarks, and the built-in photographs if they are sufficient."""
        return (*paper.SETS, BUILT_IN) if self.own_images else paper.SETS

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return dataclasses.asdict(self)


_FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "EDSR": ("edsr_baseline", {}),
    "RDN": ("rdn", {}),
}
_SMALL = {"blocks": 2, "features": 8}
_SMALL_FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "EDSR": ("edsr_baseline", _SMALL),
    "RDN": ("rdn", {**_SMALL, "layers": 2, "growth": 8}),
}
# Eq. 7, and the released code's learning rate of the alphas: the defaults, stated for the reports.
_LOSS = {"alpha_learning_rate": 1e-2, "skt_weight": 1000.0}
_SHORTEST = {
    "steps": 2,
    "batch_size": 2,
    "patch_size": 12,
    "halve_every": 1,
    "checkpoint_every": 2,
    "log_every": 1,
}
BUDGETS = {
    "smoke": Budget(
        name="smoke",
        about="every code path in minutes: tiny networks, two steps, the built-in photographs; "
        "its numbers mean nothing",
        families=_SMALL_FAMILIES,
        scales=(4,),
        batch_norm=("edsr_baseline", _SMALL),
        student={**_SHORTEST, "learning_rate": 1e-5, "calibration_steps": 2, **_LOSS},
        teacher={**_SHORTEST, "learning_rate": 1e-3},
        files=_SMALL_FAMILIES,
        ships=False,
        own_images=True,
        samples=4,
        input_size=(24, 32),
    ),
    "cpu": Budget(
        name="cpu",
        about="what 2 cores can do in hours: EDSR and a small RDN from the shipped float weights, "
        "300 steps at batch 8 and LR patch 32; batch normalization on networks of EDSR-mobile's "
        "size",
        families={"EDSR": ("edsr_baseline", {}), "RDN": ("rdn_small", {})},
        scales=(2, 4),
        batch_norm=("edsr_mobile", {}),
        student={**FINETUNE_BUDGETS["short"], "batch_size": 8, "patch_size": 32, **_LOSS},
        few_bits=FEW_BITS,
        # With the released code's rate of 1e-2 and its halvings, an alpha can move by 175 in its
        # 30,000 steps, but only by 1.75 in 300.
        learned_ranges={"alpha_learning_rate": 0.3},
        files=_FAMILIES,
        teacher={
            "steps": 1000,
            "batch_size": 8,
            "optimizer": "muon",
            "learning_rate": 6e-3,
            "schedule": "cosine",
            "warmup": 50,
            "clip_norm": 10.0,
            "checkpoint_every": 500,
            "log_every": 50,
        },
        seeds=(1, 2, 3),
    ),
    "paper": Budget(
        name="paper",
        about="the paper's settings, for a GPU: EDSR-baseline and RDN, x2 and x4, 30 epochs of "
        "1000 steps at batch 16; float networks that are not given are trained for 300 epochs",
        families=_FAMILIES,
        scales=(2, 4),
        batch_norm=("edsr_baseline", {}),
        student={**FINETUNE_BUDGETS["paper"], "batch_size": 16, "log_every": 100, **_LOSS},
        files=_FAMILIES,
        # The paper starts from pretrained float networks. EDSR's own training has 300 epochs and
        # halves the rate after 200.
        teacher={
            "steps": 300_000,
            "batch_size": 16,
            "learning_rate": 1e-4,
            "halve_every": 200_000,
            "checkpoint_every": 1000,
            "log_every": 100,
        },
        ships=False,
        samples=256,
    ),
}
