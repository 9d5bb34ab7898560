"""Muon beside a formula in NumPy, what it leaves to Adam, and that it learns faster."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pams_tf import InputError, models
from pams_tf.training.optimizers import AveragingAdam, Muon, is_matrix, optimizer, orthogonalized
from pams_tf.training.regression import Regression
from pams_tf.training.settings import TrainingSettings, finetune_budget, train_budget

SETTINGS = TrainingSettings(optimizer="muon", learning_rate=0.01, schedule="cosine", steps=100)


@pytest.mark.parametrize("shape", [(27, 8), (8, 27), (16, 16), (9, 2)])
def test_singular_values_become_about_one(shape):
    matrix = np.random.default_rng(1).normal(0, 3, shape).astype(np.float32)
    found = np.asarray(orthogonalized(tf.constant(matrix)))
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    values = np.linalg.svd(found, compute_uv=False)
    assert values.min() > 0.65
    assert values.max() < 1.25
    # Same singular vectors: U^T X V is diagonal.
    inner = u.T @ found @ v.T
    np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-4)


def test_a_matrix_of_zeros_stays_one_and_scale_does_not_matter():
    assert not np.asarray(orthogonalized(tf.zeros((4, 3)))).any()
    matrix = np.random.default_rng(2).normal(0, 1, (12, 5)).astype(np.float32)
    small, large = (np.asarray(orthogonalized(tf.constant(matrix * f))) for f in (1, 1000))
    np.testing.assert_allclose(small, large, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 3, 8, 4), True),
        ((8, 4), True),
        ((1, 1, 8, 8), True),
        ((3, 3, 8, 1), False),  # depthwise
        ((3, 3, 1, 8), False),
        ((8,), False),
        ((), False),
        ((1, 1, 8), False),  # a PReLU's slopes
    ],
)
def test_what_is_a_matrix(shape, expected):
    assert is_matrix(shape) is expected


def numpy_muon(gradients, rate):
    """Two and more steps of a kernel from zero, with an exact loop of the published iteration."""
    kernel = np.zeros(gradients[0].shape)
    momentum = np.zeros_like(kernel)
    for gradient in gradients:
        momentum = 0.95 * momentum + gradient
        x = (gradient + 0.95 * momentum).reshape(-1, kernel.shape[-1]).T
        x = x / np.linalg.norm(x)
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        x = x.T
        kernel -= rate * 0.2 * np.sqrt(max(x.shape)) * x.reshape(kernel.shape)
    return kernel


def test_a_kernel_follows_the_formula_and_a_bias_follows_adam():
    rng = np.random.default_rng(3)
    gradients = [rng.normal(0, 1, (3, 3, 6, 4)).astype(np.float32) for _ in range(3)]
    biases = [rng.normal(0, 1, 4).astype(np.float32) for _ in range(3)]
    found = {}
    for kind in (Muon, AveragingAdam):
        kernel = keras.Variable(np.zeros((3, 3, 6, 4)), name="kernel")
        bias = keras.Variable(np.zeros(4), name="bias")
        chosen = kind(0.01, epsilon=1e-8)
        chosen.build([kernel, bias])
        for gradient, other in zip(gradients, biases, strict=True):
            chosen.apply([tf.constant(gradient), tf.constant(other)], [kernel, bias])
        found[kind] = np.asarray(kernel.value), np.asarray(bias.value)
    np.testing.assert_allclose(found[Muon][0], numpy_muon(gradients, 0.01), atol=2e-5)
    np.testing.assert_array_equal(found[Muon][1], found[AveragingAdam][1])


def test_a_step_is_as_large_as_adams():
    """Root mean square of a step over the rate: 0.2, for wide and narrow kernels."""
    for shape in ((3, 3, 32, 8), (3, 3, 8, 32), (1, 1, 64, 64)):
        kernel = keras.Variable(np.zeros(shape), name="kernel")
        chosen = Muon(1.0)
        chosen.build([kernel])
        chosen.apply([keras.random.normal(shape, seed=4)], [kernel])
        size = float(np.sqrt(np.mean(np.square(kernel.numpy()))))
        assert size == pytest.approx(0.2, rel=0.25)


def test_muon_is_saved_and_loaded():
    made = optimizer(SETTINGS.replace(ema=0.99))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert isinstance(again, Muon)
    assert again.get_config() == made.get_config()


def losses(name, rate):
    keras.utils.set_random_seed(5)
    network = models.build("plain_small", 2, convolutions=2, features=8)
    models.start_as_interpolation(network)
    settings = SETTINGS.replace(optimizer=name, learning_rate=rate, schedule="halving")
    trainee = Regression(network, optimizer(settings))
    rng = np.random.default_rng(6)
    lr = tf.constant(rng.uniform(0, 255, (2, 12, 12, 3)).astype(np.float32))
    teacher = models.build("plain_small", 2, convolutions=2, features=8)
    hr = teacher(lr)
    found = []
    for _ in range(40):
        with tf.GradientTape() as tape:
            loss = trainee.losses(lr, hr)["loss"]
        (chosen, variables), *_ = trainee.updates
        chosen.apply(tape.gradient(loss, variables), variables)
        found.append(float(loss))
    return found


def test_muon_learns_faster_than_adam():
    best = {
        name: min(losses(name, rate)[-1] for rate in (1e-3, 3e-3, 1e-2))
        for name in ("adam", "muon")
    }
    assert best["muon"] < best["adam"]


def test_long_budgets_have_muon_where_it_was_measured_and_others_adam():
    assert train_budget("long")["optimizer"] == "muon"
    assert finetune_budget("long", 4)["optimizer"] == "muon"
    for budget, bits in (("long", 8), ("short", 4), ("paper", 4)):
        assert "optimizer" not in finetune_budget(budget, bits)
    assert type(optimizer(TrainingSettings())) is AveragingAdam


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(InputError, match="optimizer='sgd' is not possible; choose adam or muon"):
        TrainingSettings(optimizer="sgd")
