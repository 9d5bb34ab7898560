"""SKT against the released code, one training step against the formulas, calibration."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from students import batch, pair

from pams_tf import InputError, QuantizationRecipe, models
from pams_tf.models.transfer import transfer_weights
from pams_tf.quantization import quantizers
from pams_tf.quantization.calibration import calibrate
from pams_tf.training.distillation import Distiller
from pams_tf.training.skt import skt_loss

SIZE = {"blocks": 2, "features": 8}


def test_skt_loss_reproduces_released_code(golden):
    data = golden("skt_loss")
    student = tf.constant(data["student"].transpose(0, 2, 3, 1))
    teacher = tf.constant(data["teacher"].transpose(0, 2, 3, 1))
    with tf.GradientTape() as tape:
        tape.watch(student)
        loss = skt_loss(student, teacher)
    np.testing.assert_allclose(loss, data["loss"], rtol=1e-5)
    gradient = tape.gradient(loss, student).numpy().transpose(0, 3, 1, 2)
    np.testing.assert_allclose(gradient, data["dstudent"], rtol=1e-3, atol=1e-9)


def test_skt_loss_ignores_a_factor():
    feature = tf.random.normal((2, 5, 6, 4), seed=1)
    assert float(skt_loss(feature, 7.0 * feature)) < 1e-12
    assert float(skt_loss(feature, tf.zeros_like(feature))) > 0


def test_train_step_is_l1_plus_skt_with_two_adams():
    teacher, student = pair(QuantizationRecipe(), SIZE)
    lr, hr = batch()
    calibrate(student, teacher, [lr])
    before = {v.path: np.array(v) for v in student.trainable_variables}
    y, feature = student.with_feature(lr)
    _, target = teacher.with_feature(lr)
    l1, skt = np.mean(np.abs(y - hr)), float(skt_loss(feature, target))
    distiller = Distiller(student, teacher, skt_weight=1000.0)
    distiller.compile(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-2))
    logs = {k: float(v) for k, v in distiller.train_step((lr, hr)).items()}
    np.testing.assert_allclose(logs["l1"], l1, rtol=1e-5)
    np.testing.assert_allclose(logs["skt"], skt, rtol=1e-4)
    np.testing.assert_allclose(logs["loss"], l1 + 1000 * skt, rtol=1e-5)
    # Adam's first step has the length of the learning rate wherever there is a gradient.
    for variable in student.trainable_variables:
        moved = np.abs(np.array(variable) - before[variable.path])
        rate = 1e-2 if variable.path.endswith("alpha") else 1e-4
        if moved.max() > 0:
            np.testing.assert_allclose(moved.max(), rate, rtol=2e-2)
    assert len(distiller.alpha_variables) == 6
    assert len(distiller.weight_variables) == len(student.trainable_variables) - 6


def test_the_teacher_stays_frozen_and_the_student_learns():
    teacher, student = pair(QuantizationRecipe(bits=4), SIZE)
    lr, hr = batch()
    calibrate(student, teacher, [lr])
    frozen = [np.array(v) for v in teacher.variables]
    distiller = Distiller(student, teacher)
    distiller.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-1))
    data = tf.data.Dataset.from_tensors((lr, hr)).repeat()
    history = distiller.fit(data, epochs=3, steps_per_epoch=8, shuffle=False, verbose=0).history[
        "loss"
    ]
    assert history[-1] < 0.9 * history[0]
    for variable, old in zip(teacher.variables, frozen, strict=True):
        np.testing.assert_array_equal(variable, old)


@pytest.mark.parametrize(
    ("skt_weight", "target", "asked"),
    [(0.0, "hr", False), (0.0, "teacher", True), (1.0, "hr", True), (1.0, "teacher", True)],
)
def test_the_teacher_computes_only_where_something_needs_it(skt_weight, target, asked, monkeypatch):
    teacher, student = pair(QuantizationRecipe(), SIZE)
    distiller = Distiller(student, teacher, skt_weight, target)
    distiller.compile(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-2))
    head, calls = teacher.get_layer("head"), []
    convolve = head.call
    monkeypatch.setattr(head, "call", lambda x: calls.append(x.shape) or convolve(x))
    logs = distiller.train_step(batch())
    assert len(calls) == asked
    assert (float(logs["skt"]) > 0) == (skt_weight > 0)


def test_calibration_observes_the_float_network():
    teacher, student = pair(QuantizationRecipe(), SIZE)
    batches = [batch(seed)[0] for seed in range(3)]
    calibrate(student, teacher, batches)
    for quantizer in quantizers(student):
        tensor = keras.Model(teacher.inputs[0], teacher.arriving[quantizer.name])
        alpha = None
        for lr in batches:
            observed = np.abs(tensor(lr)).max(axis=(1, 2, 3)).mean()
            alpha = observed if alpha is None else 0.9997 * alpha + 0.0003 * observed
        np.testing.assert_allclose(float(quantizer.alpha), alpha, rtol=1e-5)
        assert int(quantizer.observations) == 3


def test_calibration_in_two_parts_is_calibration_in_one():
    batches = [batch(seed)[0] for seed in range(4)]
    teacher, whole = pair(QuantizationRecipe(), SIZE)
    calibrate(whole, teacher, batches)
    _, parts = pair(QuantizationRecipe(), SIZE)
    calibrate(parts, teacher, batches[:1])
    calibrate(parts, teacher, batches[1:])
    for one, other in zip(quantizers(whole), quantizers(parts), strict=True):
        assert float(one.alpha) == float(other.alpha)


def test_calibration_needs_images_and_the_same_sites():
    teacher, student = pair(QuantizationRecipe(), SIZE)
    with pytest.raises(InputError, match="at least one batch"):
        calibrate(student, teacher, [])
    other = models.build("edsr_mobile", 2, blocks=1, features=8)
    with pytest.raises(InputError, match="no site block_1_input"):
        calibrate(student, other, [batch()[0]])


def test_weights_of_another_network_are_refused():
    _, student = pair(QuantizationRecipe(), SIZE)
    other = models.build("edsr_mobile", 2, blocks=1, features=8)
    with pytest.raises(InputError, match=r"edsr_mobile x2, blocks=1.*not of .*blocks=2"):
        transfer_weights(other, student)


def test_a_student_can_learn_from_its_teachers_images():
    teacher = models.build("edsr_nano", 2, blocks=1, features=4)
    student = models.with_recipe(teacher, QuantizationRecipe(scope="all"))
    lr = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    calibrate(student, teacher, [lr])
    distiller = Distiller(student, teacher, skt_weight=0, target="teacher")
    distiller.compile(keras.optimizers.Adam(0.0), keras.optimizers.Adam(0.0))
    black = np.zeros((2, 16, 16, 3), np.float32)  # never looked at
    found = distiller.train_on_batch(lr, black, return_dict=True)
    expected = np.abs(np.asarray(student(lr)) - np.asarray(teacher(lr))).mean()
    assert found["l1"] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(InputError, match="target='gan' is not possible; choose hr or teacher"):
        Distiller(student, teacher, target="gan")
