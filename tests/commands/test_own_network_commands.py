"""The commands with a Keras network of the user's own, from its file to a proven integer file."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from pams_tf import QuantizationRecipe
from pams_tf.data.images import write_image
from tests.commands.test_commands import command, elsewhere  # noqa: F401
from tests.models.graph import networks


@pytest.fixture
def mine(tmp_path):
    for index in range(2):
        coarse = np.random.default_rng(index).integers(0, 256, (8, 8, 3), np.uint8)
        write_image(tmp_path / "photos" / f"{index}.png", coarse.repeat(6, 0).repeat(6, 1))
    networks.build("prelu").save(tmp_path / "mine.keras")
    return ("--teacher=mine.keras", "--data=photos", "--valid_data=photos", "--patch_size=8",
            "--batch_size=2", "--calibration_steps=2", "--bits=8", "--scope=all")  # fmt: skip


def settings(run):
    stored = json.loads(Path(f"runs/{run}/settings.json").read_text())
    recipe = json.loads(Path(f"runs/{run}/recipe.json").read_text())
    return stored | recipe


def test_without_a_step_from_its_file_to_a_proven_one(mine, capsys):
    assert command("finetune", *mine, "--steps=0") == 0
    chosen = settings("mine_pams8_all")  # no flag but those of the first example in the guide
    for name in ("per_channel", "unsigned", "equalize"):
        assert chosen[name] is True
    assert (chosen["initial_range"], chosen["initial_weights"]) == ("error", "fitted")
    run = "--run=runs/mine_pams8_all"
    assert command("to_tflite", run, "--input_size=24x24", "--out=mine.tflite") == 0
    assert command("verify_tflite", run, "--tflite=mine.tflite", "--images=photos") == 0
    assert "weights are equal" in capsys.readouterr().out


def test_every_default_can_be_switched_off(mine):
    flags = ("--noequalize", "--nounsigned", "--noper_channel", "--initial_range=ema",
             "--initial_weights=teacher")  # fmt: skip
    assert command("finetune", *mine, "--steps=1", "--checkpoint_every=1", *flags) == 0
    chosen = settings("mine_pams8_all_tensor_signed_unequal_ema_teacher")
    assert not chosen["per_channel"]
    assert not chosen["unsigned"]
    assert not chosen["equalize"]
    assert chosen["initial_weights"] == "teacher"


def test_dorefa_starts_with_the_weights_as_they_are(mine):
    mine = (*mine[:-2], "--bits=4", "--scope=all")
    assert command("finetune", *mine, "--steps=0", "--method=dorefa") == 0
    chosen = settings("mine_dorefa4_all")
    assert (chosen["unsigned"], chosen["initial_weights"]) == (False, "teacher")


def test_few_bits_have_the_best_options_and_the_papers_are_a_flag_away(mine, capsys):
    mine = (*mine[:-2], "--bits=3", "--scope=all", "--steps=0")
    teacher = keras.saving.load_model("mine.keras", compile=False)
    name = next(layer.name for layer in teacher.layers if isinstance(layer, keras.layers.Conv2D))
    assert command("finetune", *mine, f"--layer_bits={name}x=8") == 1
    assert f"layer_bits names '{name}x', which is no convolution" in capsys.readouterr().err
    assert command("finetune", *mine, f"--layer_bits={name}=8", "--noasymmetric") == 0
    chosen = settings("mine_pams3_all_symmetric_mixed1")
    assert (chosen["weight_range"], chosen["alpha_gradient"]) == ("learned", "rounding")
    assert (chosen["alpha_rate"], chosen["layer_bits"]) == ("relative", {name: 8})
    assert command("finetune", *mine, "--recipe=paper", "--name=paper") == 0
    stored = json.loads(Path("runs/paper/recipe.json").read_text())
    assert stored == QuantizationRecipe(bits=3, scope="all").to_dict()
    chosen = settings("paper")
    assert (chosen["initial_range"], chosen["initial_weights"]) == ("ema", "teacher")
    assert chosen["alpha_rate"] == "absolute"
