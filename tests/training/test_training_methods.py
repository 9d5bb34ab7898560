"""Every method and ablation through calibration, one training step and whole runs."""

import csv

import keras
import numpy as np
import pytest
from students import batch, pair

from pams_tf import InputError, QuantizationRecipe, models
from pams_tf.quantization import MinMaxQuantizer, QuantConv2D, quantizers
from pams_tf.quantization.calibration import calibrate, random_ranges
from pams_tf.recipe import METHODS
from pams_tf.runs import RunFolder
from pams_tf.training.distillation import Distiller
from pams_tf.training.jobs import distil, train
from pams_tf.training.relative import RelativeAdam
from pams_tf.training.settings import (
    DistillationSettings,
    TrainingSettings,
    best_settings,
    run_name,
)

SIZE = {"blocks": 1, "features": 4}
RECIPES = [
    *(QuantizationRecipe(method=method, bits=4) for method in METHODS),
    QuantizationRecipe(unsigned=True, bits=4),
    QuantizationRecipe(method="tflite", scope="all"),
]
NAMES = [f"{r.method}-{r.scope}{'-unsigned' if r.unsigned else ''}" for r in RECIPES]
COMMON = {
    "model": "edsr_mobile",
    "scale": 2,
    "batch_size": 2,
    "patch_size": 8,
    "steps": 4,
    "checkpoint_every": 2,
    "log_every": 1,
    "learning_rate": 1e-3,
}


FEW = QuantizationRecipe(
    bits=3, scope="all", alpha_gradient="rounding", weight_range="learned", asymmetric=True,
    per_channel=True, layer_bits={"head": 4},
)  # fmt: skip


@pytest.mark.parametrize("relative", [False, True])
def test_clips_and_ends_are_trained_at_the_rate_of_the_alphas_if_it_is_relative(relative):
    teacher, student = pair(FEW, SIZE)
    lr, hr = batch()
    calibrate(student, teacher, [lr])
    clips = [layer.clip for layer in student.layers if isinstance(layer, QuantConv2D)]
    ends = [v for q in quantizers(student) for v in q.trainable_variables]
    assert len(ends) > len(quantizers(student))  # two for tensors of both signs
    before = [np.array(v) for v in (*clips, *ends)]
    distiller = Distiller(student, teacher)
    kind = RelativeAdam if relative else keras.optimizers.Adam
    distiller.compile(keras.optimizers.Adam(1e-6), kind(1e-2))
    found = {id(v) for v in distiller.alpha_variables}
    assert found == {id(v) for v in (*ends, *(clips if relative else []))}
    assert len(distiller.weight_variables) + len(found) == len(student.trainable_variables)
    assert np.isfinite(float(distiller.train_step((lr, hr))["loss"]))
    moved = [
        np.abs(np.array(v) / old - 1).max() for v, old in zip((*clips, *ends), before, strict=True)
    ]
    if relative:
        assert max(moved) == pytest.approx(1e-2, rel=1e-2)
        assert np.mean(np.array(moved) > 5e-3) > 0.8
    else:
        assert max(moved[: len(clips)]) < 1e-3


def distiller_of(student, teacher, skt_weight=1000.0):
    distiller = Distiller(student, teacher, skt_weight)
    distiller.compile(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-2))
    return distiller


@pytest.mark.parametrize("recipe", RECIPES, ids=NAMES)
def test_one_step_moves_what_the_method_trains(recipe):
    teacher, student = pair(recipe, SIZE)
    lr, hr = batch()
    calibrate(student, teacher, [lr])
    for quantizer in quantizers(student):
        quantizer.set_range(0.6 * float(quantizer.alpha))  # so that every range clips
    kernels = {q.name: np.array(q.kernel) for q in student.layers if isinstance(q, QuantConv2D)}
    ranges = {q.name: float(q.alpha) for q in quantizers(student)}
    distiller = distiller_of(student, teacher)
    logs = distiller.train_step((lr, hr))
    assert np.isfinite(float(logs["loss"]))
    for name, kernel in kernels.items():
        assert np.abs(student.get_layer(name).kernel - kernel).max() > 0, name
    moved = {q.name: abs(float(q.alpha) - ranges[q.name]) for q in quantizers(student)}
    learned = recipe.method in ("pams", "pact")
    assert len(distiller.alpha_variables) == (len(moved) if learned else 0)
    for name, distance in moved.items():
        if learned:  # Adam's first step has the length of its rate
            np.testing.assert_allclose(distance, 1e-2, rtol=2e-2, err_msg=name)
        elif recipe.method == "dorefa":
            assert distance == 0, name
        else:  # the moving average, by a thousandth of the way
            assert 0 < distance < 0.01 * ranges[name], name


def test_min_max_moves_to_the_extremes_of_the_batch():
    teacher, student = pair(QuantizationRecipe(method="tflite"), SIZE)
    lr, hr = batch()
    calibrate(student, teacher, [lr])
    quantizer = student.get_layer("block_0_input")  # behind nothing that is quantized
    low, high = float(quantizer.minimum), float(quantizer.maximum)
    x = np.asarray(keras.Model(student.inputs[0], student.arriving["block_0_input"])(lr))
    distiller_of(student, teacher).train_step((lr, hr))
    np.testing.assert_allclose(float(quantizer.minimum), 0.999 * low + 0.001 * x.min(), rtol=1e-6)
    np.testing.assert_allclose(float(quantizer.maximum), 0.999 * high + 0.001 * x.max(), rtol=1e-6)


def test_every_method_begins_with_the_same_ranges():
    """The paper's Table 2: same teacher, same initial ranges."""
    found = []
    for method in METHODS:
        teacher, student = pair(QuantizationRecipe(method=method), SIZE)
        calibrate(student, teacher, [batch(seed)[0] for seed in range(2)])
        found.append([float(q.alpha) for q in quantizers(student)])
    # The larger of two running means, for tflite, is not quite the running mean of the larger.
    np.testing.assert_allclose(found[METHODS.index("dorefa")], found[0], rtol=1e-6)
    np.testing.assert_allclose(found[METHODS.index("pact")], found[0], rtol=1e-6)
    np.testing.assert_allclose(found[METHODS.index("tflite")], found[0], rtol=0.1)


def test_pacts_decay_is_in_the_loss():
    teacher, student = pair(QuantizationRecipe(method="pact"), SIZE)
    lr, hr = batch()
    calibrate(student, teacher, [lr])
    decay = sum(q.decay * float(q.alpha) ** 2 for q in quantizers(student))
    logs = distiller_of(student, teacher).train_step((lr, hr))
    difference = float(logs["loss"]) - float(logs["l1"]) - 1000 * float(logs["skt"])
    assert decay > 1e-3
    np.testing.assert_allclose(difference, decay, atol=1e-4)


def test_pacts_decay_pulls_alpha_where_nothing_is_clipped():
    teacher, student = pair(QuantizationRecipe(method="pact"), SIZE)
    for quantizer in quantizers(student):
        quantizer.set_range(1e4)
    distiller_of(student, teacher, skt_weight=0.0).train_step(batch())
    for quantizer in quantizers(student):
        assert float(quantizer.alpha) < 1e4


def test_rdns_concatenations_are_signed_and_what_lies_behind_a_relu_is_not():
    size = {"blocks": 1, "layers": 2, "features": 4, "growth": 4}
    _, rdn = pair(QuantizationRecipe(method="pact"), size, "rdn")
    assert not any(q.unsigned for q in quantizers(rdn))
    _, edsr = pair(QuantizationRecipe(method="pact", scope="all"), SIZE)
    assert [q.name for q in quantizers(edsr) if q.unsigned] == ["block_0_relu"]


@pytest.mark.parametrize("method", METHODS)
def test_random_ranges_are_drawn_from_the_seed(method):
    drawn = []
    for seed in (1, 1, 2):
        _, student = pair(QuantizationRecipe(method=method, scope="all"), SIZE)
        random_ranges(student, seed)
        drawn.append([float(q.alpha) for q in quantizers(student)])
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert len(set(drawn[0])) == len(drawn[0])
    assert 0 < min(drawn[0]) < 64 < max(drawn[0]) <= 128


@pytest.mark.parametrize("recipe", RECIPES, ids=NAMES)
def test_a_run_of_every_method_resumes(recipe, photos, tmp_path, full_disk):
    teacher = tmp_path / "teacher.keras"
    models.save(models.build("edsr_mobile", 2, **SIZE), teacher)
    settings = DistillationSettings(
        **COMMON, overrides=SIZE, data=photos, valid_data=photos, teacher=str(teacher),
        calibration_steps=2,
    )  # fmt: skip
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    distil(settings, recipe, whole)
    with whole.alphas.open(newline="") as file:
        rows = list(csv.DictReader(file))
    student = models.load(whole.student)
    assert set(rows[0]) == {"step", *(q.name for q in quantizers(student))}
    for quantizer in quantizers(student):
        values = {row[quantizer.name] for row in rows}
        assert float(rows[0][quantizer.name]) > 0
        assert len(values) == 1 if recipe.method == "dorefa" else len(values) > 1
    with full_disk(4):
        distil(settings, recipe, parts)
    distil(settings, recipe, parts)
    expected = {v.path: np.asarray(v.value) for v in student.variables}
    for variable in models.load(parts.student).variables:
        np.testing.assert_array_equal(variable.value, expected[variable.path], variable.path)
    if recipe.method == "tflite":
        (*_, last) = (layer for layer in student.layers if isinstance(layer, MinMaxQuantizer))
        assert f"{last.path}/minimum" in expected


def test_random_initial_ranges_are_where_a_run_begins(photos, tmp_path):
    teacher = tmp_path / "teacher.keras"
    models.save(models.build("edsr_mobile", 2, **SIZE), teacher)
    settings = DistillationSettings(
        **COMMON, overrides=SIZE, data=photos, valid_data=photos, teacher=str(teacher),
        initial_range="random", seed=5,
    )  # fmt: skip
    run = RunFolder(tmp_path / "run")
    distil(settings, QuantizationRecipe(), run)
    with run.alphas.open(newline="") as file:
        first = next(csv.DictReader(file))
    drawn = np.random.default_rng(5).uniform(0, 128, 3)
    _, student = pair(QuantizationRecipe(), SIZE)
    names = [q.name for q in quantizers(student)]
    np.testing.assert_allclose([float(first[name]) for name in names], drawn, rtol=1e-5)


def test_batch_normalization_from_teacher_to_student(photos, tmp_path):
    """The teacher trains with it; the student's statistics move on, the teacher's do not."""
    size = {**SIZE, "batch_norm": True}
    common = {**COMMON, "overrides": size, "data": photos, "valid_data": photos}
    teacher_run, run = RunFolder(tmp_path / "teacher"), RunFolder(tmp_path / "run")
    train(TrainingSettings(**common), teacher_run)
    file = teacher_run.model.read_bytes()
    settings = DistillationSettings(**common, teacher=str(teacher_run.path), calibration_steps=1)
    student = models.load(teacher_run.model)
    fresh = models.build("edsr_mobile", 2, **size)
    before = student.get_layer("block_0_conv_0_bn").moving_variance.numpy()
    assert np.abs(before - fresh.get_layer("block_0_conv_0_bn").moving_variance).min() > 0
    for method in ("pams", "pact"):
        distil(settings, QuantizationRecipe(method=method), run)
        with np.load(run.newest) as saved:
            (key,) = (k for k in saved.files if k.endswith("block_0_conv_0_bn/moving_variance"))
            assert np.abs(saved[key] - before).min() > 0
        run = RunFolder(tmp_path / "next")
    assert teacher_run.model.read_bytes() == file


def test_calibration_sees_a_normalized_network_as_it_is_used():
    """Inference mode: running statistics, and none of them moves."""
    teacher, student = pair(QuantizationRecipe(), {**SIZE, "batch_norm": True})
    lr, _ = batch()
    before = [np.array(v) for v in teacher.variables]
    calibrate(student, teacher, [lr])
    x = keras.Model(teacher.inputs[0], teacher.arriving["block_0_relu"])(lr, training=False)
    expected = np.abs(x).max(axis=(1, 2, 3)).mean()
    np.testing.assert_allclose(float(student.get_layer("block_0_relu").alpha), expected, rtol=1e-5)
    for variable, old in zip(teacher.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)


def test_a_run_begun_before_a_setting_existed_is_continued(tmp_path):
    run = RunFolder(tmp_path / "run")
    settings = DistillationSettings()
    run.claim(settings.to_dict(), QuantizationRecipe())
    text = run.settings.read_text()
    for name, value in (("unsigned", "false"), ("initial_range", '"ema"')):
        assert f'"{name}": {value}' in text
        text = text.replace(f',\n    "{name}": {value}', "").replace(f',\n  "{name}": {value}', "")
    run.settings.write_text(text)
    run.newest.parent.mkdir()
    run.newest.touch()
    assert "unsigned" not in run.read_settings()["recipe"]
    assert "initial_range" not in run.read_settings()
    defaults = DistillationSettings().to_dict()
    assert run.claim(settings.to_dict(), QuantizationRecipe(), defaults)
    random = DistillationSettings(initial_range="random")
    with pytest.raises(InputError, match="initial_range was 'ema' and is now 'random'"):
        run.claim(random.to_dict(), QuantizationRecipe(), defaults)
    with pytest.raises(InputError, match="recipe unsigned was False and is now True"):
        run.claim(settings.to_dict(), QuantizationRecipe(unsigned=True), defaults)


def test_runs_are_named_by_what_tells_them_apart():
    plain = DistillationSettings()
    assert run_name(plain, QuantizationRecipe()) == "edsr_baseline_x4_pams8"
    small = DistillationSettings(model="rdn", scale=2, overrides={"blocks": 3})
    recipe = QuantizationRecipe(method="pact", bits=4, scope="all")
    assert run_name(small, recipe) == "rdn_x2_blocks3_pact4_all"
    changed = [
        DistillationSettings(skt_weight=0.0),
        DistillationSettings(initial_range="random"),
        DistillationSettings(seed=2),
    ]
    recipes = [
        QuantizationRecipe(asymmetric=True),
        QuantizationRecipe(weight_range="learned"),
        QuantizationRecipe(layer_bits={"head": 8}),
        QuantizationRecipe(unsigned=True),
        QuantizationRecipe(per_channel=True),
        QuantizationRecipe(alpha_gradient="rounding"),
        QuantizationRecipe(head_tail_bits=6),
        *(QuantizationRecipe(method=method) for method in METHODS),
    ]
    names = [run_name(s, QuantizationRecipe()) for s in changed]
    names += [run_name(plain, r) for r in recipes]
    assert len(set(names)) == len(names)
    best = QuantizationRecipe.best(4, scope="all")
    chosen = plain.replace(**best_settings(best))
    assert run_name(chosen, best) == "edsr_baseline_x4_pams4_best_all"
    assert run_name(chosen, best.replace(equalize=False), own=True).endswith("_pams4_all_unequal")


def test_unknown_initial_range():
    with pytest.raises(InputError, match="initial_range='zero' .*ema, error, random"):
        DistillationSettings(initial_range="zero")
