"""What long and low-bit runs have besides: warm-up, clipping, averages, and further losses."""

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from students import batch, pair

from pams_tf import Distiller, InputError, QuantizationRecipe, models
from pams_tf.quantization import QuantConv2D, functional, kernels_off_grid, quantizers
from pams_tf.reporting.progress import StepProgress, duration
from pams_tf.runs import RunFolder
from pams_tf.training.descent import average, averaged, descend
from pams_tf.training.jobs import distil, train
from pams_tf.training.logs import read_csv
from pams_tf.training.optimizers import AveragingAdam, scheduled
from pams_tf.training.regression import Regression
from pams_tf.training.schedules import schedule
from pams_tf.training.settings import DistillationSettings, TrainingSettings

TINY = {"blocks": 1, "features": 4}


def test_a_warm_up_rises_from_zero_to_the_schedule():
    settings = TrainingSettings(steps=110, schedule="cosine", warmup=10)
    rates = [float(schedule(settings, 2.0)(step)) for step in (0, 4, 9, 10, 60, 110)]
    np.testing.assert_allclose(rates, [0.2, 1.0, 2.0, 2.0, 1.0, 0.0], atol=1e-6)
    halving = settings.replace(schedule="halving", halve_every=20)
    rates = [float(schedule(halving, 2.0)(step)) for step in (9, 10, 29, 30, 50)]
    np.testing.assert_allclose(rates, [2.0, 2.0, 2.0, 1.0, 0.5])


def test_a_warm_up_is_saved_with_an_optimizer():
    settings = TrainingSettings(steps=30, schedule="cosine", warmup=10)
    config = keras.saving.serialize_keras_object(schedule(settings, 1.0))
    again = keras.saving.deserialize_keras_object(config)
    assert float(again(20)) == pytest.approx(0.5)


class Line:
    """Trains y = weight * x by plain gradient descent; the gradient is 2 x (weight x - y)."""

    jit_compile = False

    def __init__(self, clip_norm=0.0, extra=None):
        self.clip_norm = clip_norm
        self.weights = [keras.Variable([1.0, 1.0], name="weight")]
        optimizer = keras.optimizers.SGD(0.5)
        optimizer.build(self.weights)
        self.updates = [(optimizer, self.weights)]
        self._extra = extra

    @property
    def values(self):
        return keras.ops.convert_to_numpy(self.weights[0]).tolist()

    def losses(self, x, y):
        (weight,) = self.weights
        found = {"loss": tf.reduce_sum(tf.square(weight * x - y))}
        if self._extra is not None:
            found["agreeing"] = tf.reduce_sum(self._extra * weight.value)
        return found


def step(trainee, x, y):
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    strategy.run(lambda: descend(trainee, tf.constant(x), tf.constant(y)))


def test_a_gradient_is_no_longer_than_its_limit():
    # The gradient is 2 * (w x - y) = (6, 8), of length 10.
    x, y = [1.0, 1.0], [-2.0, -3.0]
    for longest, expected in [(0.0, [-2, -3]), (5.0, [-0.5, -1.0]), (20.0, [-2, -3])]:
        line = Line(longest)
        step(line, x, y)
        np.testing.assert_allclose(line.values, expected, rtol=1e-6)


def test_a_loss_counts_only_where_it_agrees():
    # The gradient is (6, -2); of the other loss (1, 1), of which the first agrees.
    line = Line(extra=[1.0, 1.0])
    step(line, [1.0, 1.0], [-2.0, 2.0])
    np.testing.assert_allclose(line.values, [1 - 0.5 * 7, 1 + 0.5 * 2])


def test_averages_are_those_of_the_steps_and_only_inside_the_block():
    line = Line()
    optimizer = scheduled(AveragingAdam, TrainingSettings(ema=0.5, learning_rate=0.1), 0.1)
    optimizer.build(line.weights)
    line.updates = [(optimizer, line.weights)]
    with averaged(line):
        assert line.values == [1.0, 1.0]  # no step yet
    expected, seen = 0.0, []
    for done in range(20):
        step(line, [0.5, 0.5], [2.0, -1.0])
        seen.append(np.array(line.values))
        momentum = min(0.5, (1 + done) / (10 + done)) if done else 0.0
        expected = momentum * expected + (1 - momentum) * seen[-1]
    with averaged(line):
        np.testing.assert_allclose(line.values, expected, rtol=1e-5)
    np.testing.assert_array_equal(line.values, seen[-1])
    average(line)
    np.testing.assert_allclose(line.values, expected, rtol=1e-5)


def test_an_averaging_optimizer_is_saved():
    optimizer = scheduled(AveragingAdam, TrainingSettings(ema=0.75, steps=10, warmup=2), 1e-3)
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config()["ema_momentum"] == 0.75
    assert again.learning_rate == optimizer.learning_rate


def test_overflow_is_its_formula_and_leaves_the_range_alone():
    x = tf.Variable([-3.0, -1.0, 0.5, 2.5])
    alpha = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        loss = functional.overflow(x, alpha)
    np.testing.assert_allclose(loss, (0.5**2 + 0.25**2) / 4)
    to_x, to_alpha = tape.gradient(loss, [x, alpha])
    np.testing.assert_allclose(to_x, [2 * -0.5 / 2 / 4, 0, 0, 2 * 0.25 / 2 / 4])
    assert to_alpha is None


def test_damping_pulls_weights_to_their_codes():
    w = tf.Variable([0.3, -0.6, 5.0])
    quantized, step_ = tf.constant([0.25, -0.5, 2.0]), tf.constant(0.25)
    with tf.GradientTape() as tape:
        loss = functional.off_grid(w, quantized, step_)
    np.testing.assert_allclose(loss, 0.2**2 + 0.4**2 + 0.5**2, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, w), [2 * 0.2 / 0.25, -2 * 0.4 / 0.25, 0], 1e-5)


def test_kernels_off_grid_is_the_mean_over_all_weights():
    _, student = pair(QuantizationRecipe(bits=3, scope="all", per_channel=True), TINY)
    total, weights = 0.0, 0
    for layer in student.layers:
        if isinstance(layer, QuantConv2D):
            w = layer.kernel.numpy()
            scale = np.abs(w).max(axis=(0, 1, 2)) / (2 ** (layer.bits - 1) - 1)
            total += np.sum((w / scale - np.round(w / scale)) ** 2)
            weights += w.size
    assert float(kernels_off_grid(student)) == pytest.approx(total / weights, rel=1e-4)


def distiller(**settings):
    teacher, student = pair(QuantizationRecipe(bits=4), TINY)
    for quantizer in quantizers(student):
        quantizer.set_range(20.0)
    trained = Distiller(student, teacher, 0.0, **settings)
    trained.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    return trained


def test_the_losses_of_a_student_add_up():
    lr, hr = batch()
    plain = distiller().losses(lr, hr)
    weighted = distiller(output_weight=0.5, damping=8.0, damping_steps=4)
    taught = np.abs(weighted.student(lr) - weighted.teacher(lr)).mean()
    found = weighted.losses(lr, hr)
    assert float(found["loss"]) == pytest.approx(float(plain["l1"]) + 0.5 * taught, rel=1e-5)
    # Halfway the damping has half of its weight.
    weighted.optimizer.iterations.assign(2)
    off_grid = float(kernels_off_grid(weighted.student))
    more = float(weighted.losses(lr, hr)["loss"]) - float(found["loss"])
    assert more == pytest.approx(4.0 * off_grid, rel=1e-3)


def test_overflow_is_counted_at_every_learned_range():
    lr, hr = batch()
    trained = distiller(overflow_weight=3.0)
    student = trained.student
    names = [q.name for q in quantizers(student)]
    probe = keras.Model(student.inputs[0], [student.arriving[name] for name in names])
    expected = sum(np.mean((np.maximum(np.abs(x) - 20, 0) / 20) ** 2) for x in probe(lr))
    assert expected > 0
    found = trained.losses(lr, hr)
    assert float(found["agreeing"]) == pytest.approx(3 * expected, rel=1e-4)
    assert float(found["loss"]) == float(found["l1"])
    trained.train_on_batch(lr, hr)


def test_a_float_network_learns_from_a_larger_one():
    keras.utils.set_random_seed(2)
    teacher = models.build("edsr_mobile", 2, **TINY)
    network = models.build("plain_small", 2, convolutions=1, features=4)
    lr, hr = batch()
    lines = [Regression(network, keras.optimizers.SGD(0.1)).losses(lr, hr)["loss"]]
    optimizer = keras.optimizers.SGD(0.1)
    taught = Regression(network, optimizer, teacher=teacher, output_weight=2.0)
    distance = np.abs(network(lr) - teacher(lr)).mean()
    assert float(taught.losses(lr, hr)["loss"]) == pytest.approx(
        float(lines[0]) + 2 * distance, rel=1e-5
    )
    assert all(v is not w for v in taught.updates[0][1] for w in teacher.variables)


RUN = {
    "model": "plain_small",
    "scale": 2,
    "overrides": {"convolutions": 1, "features": 4},
    "steps": 6,
    "batch_size": 2,
    "patch_size": 8,
    "checkpoint_every": 2,
    "learning_rate": 1e-2,
    "schedule": "cosine",
    "warmup": 2,
    "clip_norm": 1.0,
    "ema": 0.5,
}


def weights(network):
    return [keras.ops.convert_to_numpy(v) for v in network.trainable_variables]


def test_averages_are_validated_kept_and_resumed(photos, tmp_path, full_disk):
    settings = TrainingSettings(**RUN, data=photos, valid_data=photos)
    whole = train(settings, RunFolder(tmp_path / "whole"))
    with full_disk(4):
        train(settings, RunFolder(tmp_path / "stopped"))
    again = train(settings, RunFolder(tmp_path / "stopped"))
    for a, b in zip(weights(whole.network), weights(again.network), strict=True):
        np.testing.assert_array_equal(a, b)
    with np.load(RunFolder(tmp_path / "whole").best) as best:
        raw = [best[key] for key in sorted(best.files) if key.startswith("network/")]
    saved = models.load(tmp_path / "whole")
    if whole.best_step:
        assert any(np.any(a != b) for a, b in zip(raw, weights(saved), strict=True))
    for a, b in zip(weights(saved), weights(whole.network), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_student_has_all_of_it_and_resumes(photos, tmp_path, full_disk):
    network = {"model": "edsr_mobile", "overrides": TINY}
    losses = {"output_weight": 0.5, "overflow_weight": 0.1, "damping": 1.0}
    settings = DistillationSettings(**RUN | network | losses, data=photos, valid_data=photos)
    teacher = models.build("edsr_mobile", 2, **TINY)
    recipe = QuantizationRecipe(bits=4, scope="all", per_channel=True)
    whole = distil(settings, recipe, RunFolder(tmp_path / "whole"), teacher=teacher)
    with full_disk(4):
        distil(settings, recipe, RunFolder(tmp_path / "stopped"), teacher=teacher)
    again = distil(settings, recipe, RunFolder(tmp_path / "stopped"), teacher=teacher)
    for a, b in zip(weights(whole.network), weights(again.network), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_without_averages_does_not_go_on_with_them(photos, tmp_path):
    settings = TrainingSettings(**RUN | {"ema": 0.0}, data=photos, valid_data=photos)
    run = RunFolder(tmp_path / "run")
    train(settings, run)
    with pytest.raises(InputError, match=r"ema was 0\.0 and is now 0\.9"):
        train(settings.replace(ema=0.9), run)
    # Nor does its checkpoint, whatever the settings say.
    run.settings.write_text(json.dumps({**settings.to_dict(), "ema": 0.9, "recipe": None}))
    with pytest.raises(InputError, match="a checkpoint of another network, or of a run with other"):
        train(settings.replace(ema=0.9), run)


def test_a_run_begins_with_what_another_has_reached(photos, tmp_path):
    settings = TrainingSettings(**RUN, data=photos, valid_data=photos)
    first = train(settings, RunFolder(tmp_path / "first"))
    more = settings.replace(start_weights=str(tmp_path / "first"), seed=2)
    second = train(more, RunFolder(tmp_path / "second"))
    assert read_csv(RunFolder(tmp_path / "second").log)  # a run of its own
    with np.load(RunFolder(tmp_path / "second").best) as best:
        psnr = json.loads(str(best["state"]))["best_psnr"]
    assert second.best_psnr == psnr >= first.best_psnr - 1e-6  # step 0 is the other's result

    larger = models.build("plain_small", 3, **RUN["overrides"])
    fresh = {v.path: np.array(v) for v in larger.variables}
    assert models.begin_with(larger, first.network) == 2  # kernel and bias of the last one
    given = {v.path: np.array(v) for v in first.network.variables}
    for v in larger.variables:
        source = fresh if v.path.startswith("tail") else given
        np.testing.assert_array_equal(np.array(v), source[v.path])


def test_weights_of_another_size_are_no_beginning(photos, tmp_path):
    settings = TrainingSettings(**RUN, data=photos, valid_data=photos)
    with pytest.raises(InputError, match="edsr_mobile x2, and plain_small .* cannot begin"):
        train(settings.replace(start_weights="edsr_mobile_x2"), RunFolder(tmp_path / "run"))
    student = models.build("plain_small", 2, QuantizationRecipe(), **RUN["overrides"])
    with pytest.raises(InputError, match="quantized, and"):
        models.begin_with(models.with_recipe(student, None), student)


def test_the_time_left_is_said(capsys):
    with StepProgress("run", 100, 20, visible=True) as bar:
        for step in (20, 60, 100):
            bar.validated(step, 31.25)
    first, middle, last = capsys.readouterr().out.splitlines()
    assert first == "step 20 of 100: validation 31.250 dB"
    assert re.fullmatch(r"step 60 of 100: validation 31\.250 dB, \d+ s left", middle)
    assert last == "step 100 of 100: validation 31.250 dB"
    assert [duration(s) for s in (0.2, 59, 61, 3590, 12_000)] == [
        "1 s", "59 s", "1 min", "1 h 0 min", "3 h 20 min"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warmup": 7}, "warmup=7 is not possible; give no more than the steps"),
        ({"clip_norm": -1.0}, "clip_norm=-1.0"),
        ({"ema": 1.0}, "ema=1.0 is not possible; give 0, or a number below 1"),
        ({"output_weight": 1.0}, "give a weight above 0 and a teacher together"),
        ({"teacher": "edsr_mobile_x2"}, "give a weight above 0 and a teacher together"),
    ],
)
def test_settings_that_are_not_possible(changes, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings(**RUN | changes)


def test_a_larger_network_of_another_scale_is_refused(photos, tmp_path):
    settings = TrainingSettings(**RUN, data=photos, valid_data=photos)
    settings = settings.replace(teacher="edsr_nano_x3", output_weight=1.0)
    with pytest.raises(InputError, match="edsr_nano_x3 is .*; give a teacher that .* x2"):
        train(settings, RunFolder(tmp_path / "run"))


def test_both_goals_of_a_student_cannot_be_the_teacher():
    with pytest.raises(InputError, match="teacher's images already"):
        DistillationSettings(target="teacher", output_weight=1.0)


def test_adam_keeps_averages_only_where_they_are_wanted():
    assert not scheduled(AveragingAdam, TrainingSettings(), 1e-3).use_ema
    averaging = scheduled(AveragingAdam, TrainingSettings(ema=0.9), 1e-3)
    assert averaging.use_ema
