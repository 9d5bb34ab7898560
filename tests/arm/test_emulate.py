"""Where an Arm core cannot be emulated, the script says why, and leaves nothing half made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "emulate.sh"
CANNOT = 77
DEBIAN = Path("/etc/os-release")


@pytest.fixture
def refusal(tmp_path):
    """refusal("id", "echo 1000") -> the script's last line when `id` is that; it must stop."""

    def run(program, script):
        stand_in = tmp_path / "bin" / program
        stand_in.parent.mkdir()
        stand_in.write_text(f"#!/bin/sh\n{script}\n")
        stand_in.chmod(0o755)
        result = subprocess.run(
            [SCRIPT, tmp_path / "cache", "cortex-a76", "-c", "print('ran')"],
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "PATH": f"{stand_in.parent}:{os.environ['PATH']}",
                "PYTHON": sys.executable,
            },
        )
        assert result.returncode == CANNOT
        assert result.stdout == ""
        assert not (tmp_path / "cache" / "ready").exists()
        return result.stderr.strip().splitlines()[-1]

    return run


on_debian = pytest.mark.skipif(
    not DEBIAN.exists() or "\nID=debian\n" not in DEBIAN.read_text(), reason="needs Debian"
)
as_root = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root")


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_another_system(refusal):
    assert refusal("uname", "echo Darwin") == "needs Debian; this is Darwin"


@on_debian
def test_not_root(refusal):
    assert refusal("id", "echo 1000").startswith("needs root")


@on_debian
@as_root
def test_no_mount(refusal):
    assert "may not mount" in refusal("unshare", "exit 1")


@on_debian
@as_root
@pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0
    if sys.platform == "linux"
    else True,
    reason="may not mount",
)
def test_no_network(refusal):
    assert refusal("apt-get", "echo no route to host >&2; exit 100").startswith("apt ")
