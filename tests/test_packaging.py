"""The package as a user installs it: into an empty environment, every command run once."""

import configparser
import re
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from pams_tf.data.images import write_image

REPOSITORY = Path(__file__).parents[1]


def commands():
    config = configparser.ConfigParser()
    config.read(REPOSITORY / "setup.cfg")
    lines = config["options.entry_points"]["console_scripts"].strip().splitlines()
    return [line.split("=")[0].strip() for line in lines]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The folder of the programs of a new environment that holds `pip install .` alone."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    constraints = REPOSITORY / "constraints.txt"
    subprocess.run(
        [programs / "python", "-m", "pip", "install", "-q", "-c", constraints, REPOSITORY],
        check=True,
    )
    return programs


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_every_command_answers(environment, command, tmp_path):
    result = subprocess.run(
        [environment / command, "--help"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert "Example" in result.stdout


@pytest.mark.slow
def test_what_is_installed_works_away_from_the_repository(environment, tmp_path):
    """Data files are there: photographs, weights, cards; and the whole way from float to file."""
    coarse = np.random.default_rng(1).integers(0, 256, (12, 15, 3), np.uint8)
    write_image(tmp_path / "photo.png", coarse.repeat(5, 0).repeat(5, 1))
    code = """
import pams_tf
assert "site-packages" in pams_tf.__file__, pams_tf.__file__
student = pams_tf.quantize("edsr_nano_x3", pams_tf.QuantizationRecipe(scope="all"))
open("x3.tflite", "wb").write(pams_tf.convert(student, (64, 64)))
"""
    subprocess.run([environment / "python", "-c", code], check=True, cwd=tmp_path)
    for words in (
        ["pams-zoo"],
        ["pams-inspect-tflite", "--tflite=x3.tflite"],
        ["pams-evaluate", "--model=edsr_mobile_x2_8bit"],
        ["pams-upscale", "--model=x3.tflite", "--input=photo.png", "--out=out"],
    ):
        subprocess.run([environment / words[0], *words[1:]], check=True, cwd=tmp_path)
    assert (tmp_path / "out" / "photo.png").is_file()


def test_no_link_of_the_readme_is_relative_on_pypi():
    script = [sys.executable, REPOSITORY / "docs" / "absolute_links.py", REPOSITORY / "README.md"]
    result = subprocess.run(
        [*script, "https://example.org/raw/"], capture_output=True, text=True, check=True
    )
    text = result.stdout
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert "https://example.org/raw/docs/images/comparison.png" in links
    assert all(link.startswith(("https://", "#")) for link in links)
    for link in links:
        if link.startswith("https://example.org/raw/"):
            file = link.removeprefix("https://example.org/raw/").partition("#")[0]
            assert (REPOSITORY / file).exists(), link


def test_the_package_says_which_pythons_it_is_for():
    text = (REPOSITORY / "setup.cfg").read_text()
    assert "python_requires = >=3.11\n" in text
    for version in ("3.11", "3.12", "3.13"):
        assert f"Programming Language :: Python :: {version}\n" in text


def test_every_dependency_has_a_version_that_ci_runs():
    config = configparser.ConfigParser()
    config.read(REPOSITORY / "setup.cfg")
    wanted = config["options"]["install_requires"].strip().splitlines()
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    assert {line.split()[0].lower() for line in wanted} <= pinned
