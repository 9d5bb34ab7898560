"""The run folder: begun once, continued with the same settings, held by one process."""

import json
import subprocess
import sys

import pytest

from pams_tf import InputError, QuantizationRecipe
from pams_tf.runs import RunFolder


def begin(run):
    run.newest.parent.mkdir()
    run.newest.write_bytes(b"a checkpoint")


def test_claim_and_claim_again(tmp_path):
    run, recipe = RunFolder(tmp_path / "run"), QuantizationRecipe(bits=4)
    assert run.claim({"steps": 5}, recipe) is False
    begin(run)
    assert run.claim({"steps": 5}, recipe) is True
    assert QuantizationRecipe.load(run.recipe) == recipe
    assert json.loads(run.settings.read_text()) == {"steps": 5, "recipe": recipe.to_dict()}


def test_other_settings_are_named(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.claim({"steps": 4, "seed": 1}, QuantizationRecipe(bits=2))
    assert run.claim({"steps": 5, "seed": 1}, QuantizationRecipe()) is False  # nothing trained yet
    begin(run)
    with pytest.raises(InputError, match="steps was 5 and is now 6.*choose another --name"):
        run.claim({"steps": 6, "seed": 1}, QuantizationRecipe())
    with pytest.raises(InputError, match="recipe bits was"):
        run.claim({"steps": 5, "seed": 1}, QuantizationRecipe(bits=4))


def test_network_says_what_is_missing(tmp_path):
    with pytest.raises(InputError, match="no such run folder"):
        RunFolder(tmp_path / "none").network()
    with pytest.raises(InputError, match="not a run folder"):
        RunFolder(tmp_path).network()
    run = RunFolder(tmp_path)
    run.claim({}, None)
    with pytest.raises(InputError, match="has no finished network yet; start its command again"):
        run.network()
    run.model.write_bytes(b"")
    assert run.network() == run.model


def test_broken_settings_are_named(tmp_path):
    run = RunFolder(tmp_path)
    begin(run)
    for text in ("{", "[" * 100_000):
        run.settings.write_text(text)
        with pytest.raises(InputError, match=r"settings\.json: not readable JSON"):
            run.claim({}, None)
    run.settings.write_text("null")
    with pytest.raises(InputError, match=r"settings\.json: holds None instead of the run's"):
        run.claim({}, None)


def test_a_second_process_is_refused(tmp_path):
    code = (
        "from pams_tf.runs import RunFolder\n"
        f"with RunFolder({str(tmp_path)!r}).lock():\n    print('held')"
    )
    with RunFolder(tmp_path).lock():
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert second.returncode != 0
    assert "another process is working in this run folder" in second.stderr
    free = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert free.stdout == "held\n"


def test_an_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(InputError, match="choose another folder"),
        RunFolder(tmp_path / "file/run").lock(),
    ):
        pass
