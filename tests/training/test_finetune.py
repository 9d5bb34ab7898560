"""Fine-tuning by one call: the student of its run, continued, and refused where it must be."""

import json

import keras
import numpy as np
import pytest

from pams_tf import Distiller, InputError, QuantizationRecipe, finetune, models

SHORT = {
    "steps": 4, "checkpoint_every": 2, "batch_size": 2, "patch_size": 8, "calibration_steps": 1,
    "log_every": 1,
}  # fmt: skip


@pytest.fixture
def teacher():
    keras.utils.set_random_seed(4)
    return models.build("edsr_mobile", 2, blocks=1, features=4)


def values(network):
    return [np.array(variable.value) for variable in network.variables]


def test_a_model_in_memory_and_its_file_give_the_same_student(teacher, photos, tmp_path):
    recipe = QuantizationRecipe(bits=4)
    path = tmp_path / "teacher.keras"
    models.save(teacher, path)
    runs = [
        finetune(model, recipe, photos, run=tmp_path / name, valid_data=photos, **SHORT)
        for name, model in (("memory", teacher), ("file", path))
    ]
    assert runs[0].recipe == recipe
    chosen = json.loads((tmp_path / "memory" / "settings.json").read_text())
    assert chosen["initial_weights"] == "fitted"  # as always at few bits
    for one, other in zip(*map(values, runs), strict=True):
        np.testing.assert_array_equal(one, other)
    again = finetune(teacher, recipe, photos, run=tmp_path / "memory", valid_data=photos, **SHORT)
    for one, other in zip(values(runs[0]), values(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_was_stopped_continues(teacher, photos, tmp_path, full_disk):
    arguments = (QuantizationRecipe(), photos)
    settings = {"valid_data": photos, **SHORT}
    whole = finetune(teacher, *arguments, run=tmp_path / "whole", **settings)
    with full_disk(4):
        finetune(teacher, *arguments, run=tmp_path / "parts", **settings)
    parts = finetune(teacher, *arguments, run=tmp_path / "parts", **settings)
    for one, other in zip(values(whole), values(parts), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_teacher_does_not_continue_a_run(teacher, photos, tmp_path):
    finetune(teacher, QuantizationRecipe(), photos, run=tmp_path / "run", **SHORT)
    kernel = teacher.get_layer("head").kernel
    kernel.assign(2.0 * kernel.value)
    with pytest.raises(InputError, match="holds a run with another teacher"):
        finetune(teacher, QuantizationRecipe(), photos, run=tmp_path / "run", **SHORT)


def test_bad_input(teacher, photos, tmp_path):
    with pytest.raises(InputError, match="unknown budget 'endless'"):
        finetune(teacher, QuantizationRecipe(), photos, run=tmp_path / "r", budget="endless")
    with pytest.raises(InputError, match="steps=-1 is not possible"):
        finetune(teacher, QuantizationRecipe(), photos, run=tmp_path / "r", steps=-1)
    with pytest.raises(InputError, match="precision 'mixed_float16' needs a GPU"):
        finetune(teacher, QuantizationRecipe(), run=tmp_path / "r", precision="mixed_float16")
    wide = QuantizationRecipe(bits=16)
    with pytest.raises(InputError, match="'mixed_bfloat16' is coarser than the grid of 16 bits"):
        finetune(teacher, wide, run=tmp_path / "r", precision="mixed_bfloat16")
    with pytest.raises(InputError, match="strategy 'mirrored' needs GPUs"):
        finetune(teacher, QuantizationRecipe(), run=tmp_path / "r", strategy="mirrored")


def test_a_distiller_is_saved_with_both_networks(teacher, tmp_path):
    student = models.with_recipe(teacher, QuantizationRecipe(bits=4))
    distiller = Distiller(student, teacher, skt_weight=7.0)
    distiller.compile(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-2))
    lr = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    hr = np.random.default_rng(1).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    distiller.fit(lr, hr, epochs=1, verbose=0)
    distiller.save(tmp_path / "distiller.keras")
    again = keras.saving.load_model(tmp_path / "distiller.keras", compile=False)
    assert again.skt_weight == 7.0
    assert again.student.recipe == student.recipe
    assert again.teacher.recipe is None
    for one, other in zip(values(distiller.student), values(again.student), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(distiller(lr), again(lr))


def test_a_distiller_of_two_architectures_is_refused(teacher):
    other = models.build("edsr_mobile", 2, QuantizationRecipe(), blocks=2, features=4)
    with pytest.raises(InputError, match=r"the student is edsr_mobile x2, blocks=2.*blocks=1"):
        Distiller(other, teacher)
