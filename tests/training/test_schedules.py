"""Learning rates over the steps, and that both optimizers follow the same schedule."""

import numpy as np
import pytest

from pams_tf.training.optimizers import AveragingAdam, scheduled
from pams_tf.training.schedules import schedule
from pams_tf.training.settings import FINETUNE_BUDGETS, DistillationSettings, TrainingSettings


@pytest.mark.parametrize("rate", [1e-4, 1e-2])
def test_halving_is_the_papers(rate):
    paper = DistillationSettings(**FINETUNE_BUDGETS["paper"])
    rates = [float(schedule(paper, rate)(step)) for step in (0, 9_999, 10_000, 20_000, 29_999)]
    np.testing.assert_allclose(rates, np.array([1, 1, 0.5, 0.25, 0.25]) * rate, rtol=1e-6)


def test_cosine_ends_at_zero():
    settings = TrainingSettings(steps=100, schedule="cosine")
    rates = [float(schedule(settings, 1.0)(step)) for step in (0, 50, 100)]
    np.testing.assert_allclose(rates, [1.0, 0.5, 0.0], atol=1e-6)


def test_adam_is_the_papers():
    optimizer = scheduled(AveragingAdam, DistillationSettings(), 1e-2)
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.9, 0.999, 1e-8)
    assert float(optimizer.learning_rate) == pytest.approx(1e-2)


def test_the_paper_preset_is_the_paper():
    paper = DistillationSettings(**FINETUNE_BUDGETS["paper"])
    assert (paper.steps, paper.batch_size, paper.patch_size) == (30_000, 16, 48)
    assert (paper.learning_rate, paper.alpha_learning_rate) == (1e-4, 1e-2)
    assert (paper.skt_weight, paper.schedule, paper.halve_every) == (1000, "halving", 10_000)
