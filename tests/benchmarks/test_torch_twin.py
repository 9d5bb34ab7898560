"""The PyTorch implementation that `benchmarks/torch_step.py` times, where PyTorch is installed."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed"
)


@pytest.fixture(scope="module")
def torch_twin():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import torch_twin
    finally:
        sys.path.remove(str(BENCHMARKS))
    return torch_twin


def test_both_take_the_same_steps(torch_twin):
    import keras
    import torch

    import pams_tf
    from pams_tf import models
    from pams_tf.quantization import quantizers

    keras.utils.set_random_seed(4)
    rng = np.random.default_rng(4)
    lr = rng.integers(0, 256, (2, 12, 12, 3)).astype(np.float32)
    hr = rng.integers(0, 256, (2, 48, 48, 3)).astype(np.float32)
    teacher = models.build("edsr_baseline", 4, blocks=2, features=8)
    student = pams_tf.quantize(teacher, pams_tf.QuantizationRecipe(bits=4), lr)
    step = torch_twin.Step(*torch_twin.twins(student, teacher))
    distiller = pams_tf.Distiller(student, teacher)
    distiller.compile(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-2))
    images = [torch.tensor(image.transpose(0, 3, 1, 2).copy()) for image in (lr, hr)]
    for number in range(3):
        ours, theirs = distiller.train_on_batch(lr, hr, return_dict=True), step(*images)
        distiller.reset_metrics()
        # A rounding that falls the other way changes SKT by a few per cent from the second step on.
        for name in ("loss", "l1", "skt") if number == 0 else ("loss", "l1"):
            np.testing.assert_allclose(float(ours[name]), theirs[name], rtol=1e-3)
    alphas = {q.name: float(q.alpha.value) for q in quantizers(student)}
    for index, block in enumerate(step.student.blocks):
        for site in ("input", "relu", "residual"):
            ours = alphas[f"block_{index}_{site}"]
            assert ours == pytest.approx(float(getattr(block, site).alpha), rel=1e-4)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_its_quantizer_is_the_papers(torch_twin, golden, bits):
    import torch

    data = golden("activation_quantizer")
    x, upstream, y, dx, dalpha = (
        torch.tensor(data[f"bits{bits}_{name}"])
        for name in ("x", "upstream", "y", "dx", "dalpha_eq3")
    )
    quantizer = torch_twin.Quantizer(bits)
    quantizer.alpha.data = torch.tensor(data["alpha"]).reshape(())
    x.requires_grad_()
    result = quantizer(x)
    result.backward(upstream)
    torch.testing.assert_close(result, y)
    torch.testing.assert_close(x.grad, dx)
    torch.testing.assert_close(quantizer.alpha.grad.reshape(1), dalpha, rtol=1e-4, atol=1e-4)


def test_its_energy_maps_are_those_of_the_released_code(torch_twin, golden):
    import torch

    data = golden("skt_loss")
    student, teacher = (
        torch_twin.energy_map(torch.tensor(data[k])) for k in ("student", "teacher")
    )
    loss = (student - teacher).square().mean()
    assert float(loss) == pytest.approx(float(data["loss"]), rel=1e-5)
