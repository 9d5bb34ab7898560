"""What `--precision` needs, and what it says on a machine that lacks it."""

import pytest

from pams_tf import InputError, QuantizationRecipe
from pams_tf.reporting import machine
from pams_tf.training import precision
from pams_tf.training.precision import check_precision


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """processor(line): this machine's /proc/cpuinfo; None if it has none."""

    def of(line):
        path = tmp_path / "cpuinfo"
        if line is not None:
            path.write_text(f"processor\t: 0\n{line}\n")
        monkeypatch.setattr(machine, "Path", lambda _: path)
        machine.processor_features.cache_clear()

    yield of
    machine.processor_features.cache_clear()


@pytest.mark.parametrize(
    ("line", "native"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16", True),
        ("flags\t\t: fpu avx2 amx_bf16", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni", False),
        ("Features\t: fp asimd asimddp bf16", True),
        ("Features\t: fp asimd asimddp", False),
        ("model name\t: unknown", None),
        (None, None),
    ],
)
def test_emulated_bfloat16_is_told(processor, capsys, line, native):
    processor(line)
    assert machine.bfloat16_support() is native
    check_precision("mixed_bfloat16", QuantizationRecipe())
    told = capsys.readouterr().err
    assert ("has no bfloat16 instructions and emulates them" in told) == (native is False)
    check_precision("float32")
    assert not capsys.readouterr().err


def test_gpus(monkeypatch, capsys):
    """float16 may be on any; bfloat16 is native from compute capability 8.0 on."""
    capability = [(7, 5)]
    monkeypatch.setattr(precision.tf.config, "list_physical_devices", lambda kind: ["gpu"])
    monkeypatch.setattr(
        precision.tf.config.experimental,
        "get_device_details",
        lambda gpu: {"compute_capability": capability[-1]},
    )
    check_precision("mixed_float16")
    check_precision("mixed_bfloat16")
    assert "this GPU has no bfloat16 instructions" in capsys.readouterr().err
    capability.append((8, 0))
    check_precision("mixed_bfloat16")
    assert not capsys.readouterr().err


def test_what_is_not_possible():
    with pytest.raises(InputError, match="'mixed_float16' needs a GPU"):
        check_precision("mixed_float16")
    with pytest.raises(InputError, match="'mixed_bfloat16' is coarser than the grid of 16 bits"):
        check_precision("mixed_bfloat16", QuantizationRecipe(bits=16))
