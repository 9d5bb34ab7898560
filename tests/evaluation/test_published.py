"""Bicubic on the photographs themselves, which cannot ship: the figures every paper builds on.

`make published-test BENCHMARKS=DIR`, the folder that holds Set5/HR and B100/HR, runs it.
"""

import json
import os

import pytest

from pams_tf.commands.evaluate import main

# MATLAB's bicubic both ways, rounded to 8 bits; luma unrounded. Li et al. (2020), Table 1 prints
# 33.66/0.9299, 28.42/0.8104, 29.56/0.8431 and 25.96/0.6675.
EXPECTED = [
    ("Set5", 2, 33.682, 0.9305),
    ("Set5", 4, 28.431, 0.8113),
    ("B100", 2, 29.565, 0.8436),
    ("B100", 4, 25.963, 0.6682),
]


@pytest.mark.published
@pytest.mark.parametrize(("name", "scale", "psnr", "ssim"), EXPECTED)
def test_bicubic_gives_the_known_figures(tmp_path, name, scale, psnr, ssim):
    folder = os.environ["PAMS_TF_BENCHMARKS"]
    written = tmp_path / "result.json"
    flags = [f"--benchmark={name}", f"--benchmark_dir={folder}", f"--scale={scale}"]
    assert main(["evaluate", "--model=bicubic", *flags, f"--json={written}"]) == 0
    (result,) = json.loads(written.read_text())
    assert result["images"] == {"Set5": 5, "B100": 100}[name]
    assert result["psnr"] == pytest.approx(psnr, abs=0.02)
    assert result["ssim"] == pytest.approx(ssim, abs=0.0005)
