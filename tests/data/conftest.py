"""Pictures and archives of known content, made by the tests."""

import io
import tarfile
import zipfile

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


@pytest.fixture
def archive():
    """archive("zip" or "tar", entries: name -> content) -> bytes."""

    def make(kind, entries):
        buffer = io.BytesIO()
        if kind == "zip":
            with zipfile.ZipFile(buffer, "w") as file:
                for name, content in entries.items():
                    file.writestr(name, content)
        else:
            with tarfile.open(fileobj=buffer, mode="w") as file:
                for name, content in entries.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    file.addfile(info, io.BytesIO(content))
        return buffer.getvalue()

    return make
