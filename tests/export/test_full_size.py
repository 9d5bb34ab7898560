"""RDN x4 at full size becomes a file on a machine of 8 GB."""

import json
import subprocess
import sys

import pytest

MEMORY = 8 * 10**9
PARAMETERS = 22_000_000

# In a process of its own, whose peak is the conversion's.
SCRIPT = """
import json, resource, sys, time
import numpy as np
from pams_tf import QuantizationRecipe, models
from pams_tf.export.converter import convert
from pams_tf.export.variants import convert_float
from pams_tf.quantization.calibration import calibrate

kind = sys.argv[1]
bits = int(kind) if kind.isdigit() else 8
student = models.build("rdn", 4, QuantizationRecipe(bits=bits, scope="all"))
images = np.random.default_rng(0).uniform(0, 255, (1, 24, 24, 3)).astype(np.float32)
calibrate(student, models.build("rdn", 4), [images])
start = time.perf_counter()
if kind == "float32":
    content = convert_float(student, (180, 320))
else:
    content = convert(student, (180, 320), target="npu" if kind == "npu" else "cpu")
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([student.count_params(), len(content), seconds, peak]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read as Linux gives it")
@pytest.mark.parametrize(("kind", "width"), [("8", 1), ("4", 1), ("npu", 1), ("float32", 4)])
def test_rdn_is_converted_in_8_gb(kind, width, capsys):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    parameters, size, seconds, peak = json.loads(result.stdout.splitlines()[-1])
    with capsys.disabled():
        print(f"\nRDN x4, {kind}: {seconds:.0f} s, {peak / 1e9:.1f} GB, {size:,} bytes")
    assert parameters > PARAMETERS
    assert size == pytest.approx(width * parameters, rel=0.01)
    assert peak < MEMORY
