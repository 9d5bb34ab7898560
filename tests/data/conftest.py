"""Pictures of known content, made by the tests."""

import numpy as np
import pytest


@pytest.fixture
def picture():
    """picture(height, width, seed) -> uint8 RGB, smooth with some texture."""

    def make(height, width, seed=0):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:height, :width]
        waves = [np.sin(x / a + b) * np.cos(y / b + a) for a, b in rng.uniform(2, 9, (3, 2))]
        image = 127 + 100 * np.stack(waves, -1) + rng.normal(0, 6, (height, width, 3))
        return np.clip(image, 0, 255).astype(np.uint8)

    return make
