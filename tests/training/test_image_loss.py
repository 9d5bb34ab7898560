"""L1 and luma against NumPy and the luma that PSNR-Y is measured on."""

import keras
import numpy as np
import pytest
from students import batch, pair

from pams_tf import Distiller, InputError, QuantizationRecipe, models
from pams_tf.data.colour import luma
from pams_tf.training.image_loss import l1
from pams_tf.training.regression import Regression
from pams_tf.training.settings import DistillationSettings, TrainingSettings

RNG = np.random.default_rng(3)
IMAGE, GOAL = (RNG.uniform(0, 255, (2, 5, 7, 3)).astype(np.float32) for _ in range(2))
STUDIO = 255 / 219
"""Luma of white less that of black is 219 in the range of BT.601, and 255 in the loss."""


def luma_error(image, goal):
    return STUDIO * np.abs(luma(image) - luma(goal)).mean()


def test_luma_is_added_to_l1():
    plain = np.abs(IMAGE - GOAL).mean()
    assert float(l1(IMAGE, GOAL)) == pytest.approx(plain, rel=1e-6)
    expected = plain + 0.7 * luma_error(IMAGE, GOAL)
    assert float(l1(IMAGE, GOAL, 0.7)) == pytest.approx(expected, rel=1e-6)


def test_an_error_of_colour_alone_costs_no_more():
    error = np.float32([0.587, -0.299, 0.0]) * 100
    plain = float(l1(IMAGE + error, IMAGE))
    assert float(l1(IMAGE + error, IMAGE, 5.0)) == pytest.approx(plain, rel=1e-4)
    assert float(l1(IMAGE + 9, IMAGE, 5.0)) == pytest.approx(6 * 9, rel=1e-4)


def test_one_channel_is_luma_itself():
    image, goal = IMAGE[..., :1], GOAL[..., :1]
    assert float(l1(image, goal, 2.0)) == pytest.approx(3 * np.abs(image - goal).mean(), rel=1e-6)


def test_float_networks_and_students_are_trained_with_it():
    lr, hr = batch()
    network = models.build("plain_small", 2, convolutions=1, features=4)
    trainee = Regression(network, keras.optimizers.SGD(0.1), luma_weight=2.0)
    sr = network(lr).numpy()
    expected = np.abs(sr - hr).mean() + 2 * luma_error(sr, hr)
    assert float(trainee.losses(lr, hr)["loss"]) == pytest.approx(expected, rel=1e-5)

    teacher, student = pair(QuantizationRecipe(bits=4), {"blocks": 1, "features": 4})
    distiller = Distiller(student, teacher, 0.0, luma_weight=2.0, output_weight=0.5)
    sr, taught = student(lr).numpy(), teacher(lr).numpy()
    expected = np.abs(sr - hr).mean() + 2 * luma_error(sr, hr)
    found = distiller.losses(lr, hr)
    assert float(found["l1"]) == pytest.approx(expected, rel=1e-5)
    expected += 0.5 * (np.abs(sr - taught).mean() + 2 * luma_error(sr, taught))
    assert float(found["loss"]) == pytest.approx(expected, rel=1e-5)
    assert distiller.get_config()["luma_weight"] == 2.0


@pytest.mark.parametrize("settings", [TrainingSettings, DistillationSettings])
def test_a_negative_weight_is_refused(settings):
    with pytest.raises(InputError, match=r"luma_weight=-0\.5 is not possible; give 0 or more"):
        settings(luma_weight=-0.5)
