"""Fine-tuning in one call: from a float network to a trained student."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from pams_tf.errors import InputError
from pams_tf.models import SuperResolution, load, save, with_recipe
from pams_tf.models.files import Source
from pams_tf.recipe import QuantizationRecipe
from pams_tf.runs import RunFolder
from pams_tf.training.jobs import distil
from pams_tf.training.replicas import choose_replicas
from pams_tf.training.settings import (
    DistillationSettings,
    best_by_default,
    best_settings,
    finetune_budget,
    paper_patch_size,
    run_name,
)


def finetune(
    model: Source,
    recipe: QuantizationRecipe,
    images: str | os.PathLike[str] | None = None,
    *,
    run: str | os.PathLike[str] | None = None,
    budget: str | None = None,
    strategy: str = "auto",
    progress: bool = False,
    **settings: Any,
) -> SuperResolution:
    """Distil a float network into a quantized student with L1 + 1000 * SKT.

    At 4 bits or fewer (unless `budget` is "paper"), and for networks of the user's own, the student
    starts from `recipe.best_start` by default, see `QuantizationRecipe.best`; otherwise from ranges
    by Eq. 4 and the weights of the teacher.

    Weights and ranges are trained. Checkpoints, logs and plots go to the run folder. If a call is
    interrupted in any way, the same call resumes the run and ends with the same weights.

    Example:
      >>> import pams_tf
      >>> recipe = pams_tf.QuantizationRecipe(bits=8, scope="all")
      >>> settings = dict(steps=2, batch_size=2, patch_size=16, checkpoint_every=2)
      >>> student = pams_tf.finetune("edsr_nano_x3", recipe, run="run", **settings)
      >>> student.recipe.bits
      8

    Args:
      model: the float teacher: a Keras model of `pams_tf`, a `.keras` file, a run folder, or a name
        in the zoo. It is not changed.
      recipe: how the student is quantized, such as `QuantizationRecipe.best(bits=4)`.
      images: folder of HR training images: DIV2K, a benchmark set, or any folder; None for the
        built-in photographs.
      run: the run folder; by default one in "runs" that is named after the network and the recipe.
      budget: "demo" (40 steps, the default without images), "short" (300, the default with them) or
        "paper" (30,000 steps, for a GPU).
      strategy: "one" device, all GPUs of this machine ("mirrored"), those of all machines in
        TF_CONFIG ("multiworker"), or "auto": what there is. A run may go on with another one.
      progress: show the progress.
      **settings: fields of `DistillationSettings` that override the budget's: `steps`,
        `batch_size`, `patch_size` (LR pixels), `learning_rate`, `valid_data`, `skt_weight`, `seed`,
        `precision`, ...

    Returns:
      The student with the best validation PSNR, which is also saved as RUN/student.keras.

    Raises:
      InputError: the network is already quantized; the settings, images, strategy or folder cannot
        be used; the run folder holds another run; or the loss diverged or another worker was lost
        (the last checkpoint is intact).

    Source: Li et al., ECCV 2020, Section 3 and Eq. 1 to 7.
    """
    replicas = choose_replicas(strategy)  # before TensorFlow computes anything
    teacher = load(model, settings.get("image_range", 255.0))
    fields: dict[str, Any] = {"patch_size": paper_patch_size(teacher.preset, teacher.scale)}
    own = teacher.graph is not None
    if best_by_default(recipe.method, recipe.bits, own=own, budget=budget):
        fields |= best_settings(recipe)
    fields |= finetune_budget(budget or ("short" if images else "demo"), recipe.bits)
    fields |= settings
    if images is not None:
        fields["data"] = str(images)
    chosen = DistillationSettings(
        model=teacher.preset,
        scale=teacher.scale,
        overrides=dict(teacher.overrides),
        **fields,
    )
    name = run_name(chosen, recipe, own=own)
    folder = RunFolder(run or Path("runs") / name)
    source = model if isinstance(model, str | os.PathLike) else folder.teacher
    if source is folder.teacher:
        with replicas.together():
            if replicas.chief:
                _keep(teacher, folder)
    result = distil(
        chosen.replace(teacher=str(source)),
        recipe,
        folder,
        teacher=teacher,
        strategy=strategy,
        progress=progress,
    )
    return with_recipe(result.network, recipe)  # free of the strategy and of the precision


def _keep(teacher: SuperResolution, run: RunFolder) -> None:
    """Write the teacher into the run folder, so that the run can be resumed.

    Raises:
      InputError: the folder has another teacher.
    """
    if not run.teacher.is_file():
        save(teacher, run.teacher)
        return
    pairs = zip(load(run.teacher).variables, teacher.variables, strict=False)
    if any(not np.array_equal(np.asarray(a.value), np.asarray(b.value)) for a, b in pairs):
        raise InputError(
            f"{run.path} holds a run with another teacher; choose another run folder, or delete it"
        )
