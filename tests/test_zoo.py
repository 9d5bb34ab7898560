"""What ships is what its card says."""

import numpy as np
import pytest
from PIL import Image

from pams_tf import InputError, models, zoo
from pams_tf.commands import zoo as command
from pams_tf.data import datasets
from pams_tf.evaluation.upscaler import keras_upscale, tflite_upscale
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert import metadata
from pams_tf.training.teachers import load_teacher

CARDS = [zoo.card(name) for name in zoo.names()]
RIVALS = [(card, entry) for card in zoo.RIVALS for entry in card["entries"]]
INTEGER = [(card, entry) for card in CARDS for entry in card["entries"] if "bits" in entry]
FILES = [(card, entry) for card, entry in INTEGER if entry["shipped"]]


def test_every_network_has_a_card():
    assert "edsr_baseline_x4" in zoo.names()
    for name, card in zip(zoo.names(), CARDS, strict=True):
        assert (card["name"], f"{card['preset']}_x{card['scale']}") == (name, name)
        for entry in card["entries"]:
            if entry.get("shipped", True):
                assert (zoo.FOLDER / entry["file"]).stat().st_size == entry["bytes"]
            for result in entry["benchmarks"].values():
                assert 20 < result["psnr"] < 45
                assert 0.5 < result["ssim"] < 1
    listed = {e["file"] for card in CARDS for e in card["entries"] if e.get("shipped", True)}
    there = {path.name for path in zoo.FOLDER.iterdir() if path.suffix in (".keras", ".tflite")}
    assert there == listed


def test_the_zoo_stays_small():
    assert sum(entry["bytes"] for _, entry in FILES) < 4e6
    for card in CARDS:
        if card["name"] != "edsr_baseline_x4":
            assert zoo.weights(card["name"]).stat().st_size < 1e6


@pytest.mark.parametrize("name", zoo.names())
def test_float_weights_are_a_teacher_by_name(name):
    card = zoo.card(name)
    teacher = load_teacher(name, card["preset"], card["scale"])
    assert (teacher.preset, teacher.scale, teacher.recipe) == (card["preset"], card["scale"], None)
    assert teacher.count_params() == card["parameters"]
    models.load(zoo.weights(name))


@pytest.mark.parametrize(("card", "entry"), FILES, ids=lambda value: value.get("file", ""))
def test_integer_files_are_the_float_network_quantized(card, entry):
    path = zoo.integer_file(card["name"], entry["bits"])
    about = metadata.read(path.read_bytes())
    assert (about["preset"], about["scale"]) == (card["preset"], card["scale"])
    assert (about["recipe"]["bits"], about["recipe"]["scope"]) == (entry["bits"], "all")
    assert {t.dtype for t in read_file(path).tensors} == {
        "int8", "int32", *({"uint8"} & {entry["edges"]}), *({"int4"} & {entry["weights"]})
    }  # fmt: skip
    image = datasets.sample(card["scale"], "valid").load(0)[0][20:60, 20:70]
    teacher = keras_upscale(models.load(zoo.weights(card["name"])))(image).astype(int)
    difference = np.abs(tflite_upscale(path)(image) - teacher).mean()
    assert 0 < difference < {8: 1.5, 4: 5.0}[entry["bits"]]


def test_the_command_lists_the_zoo_and_draws_its_curves(tmp_path, capsys):
    assert command.main(["zoo", f"--curve={tmp_path / 'zoo.png'}"]) == 0
    shown = capsys.readouterr().out
    assert "…" not in shown  # nothing is cut off at 80 columns
    for card, entry in INTEGER:
        assert f"{entry['benchmarks']['Set5']['psnr']:.3f}" in shown
        picture = tmp_path / f"zoo.x{card['scale']}.png"
        assert np.asarray(Image.open(picture)).std() > 5


def test_one_network_comes_with_its_commands_and_nobody_elses_curve(tmp_path, capsys):
    where = tmp_path / "one.png"
    assert command.main(["zoo", "--name=edsr_mobile_x2", f"--curve={where}"]) == 0
    shown = capsys.readouterr().out
    assert "python tools/finetune.py --bits 4 --scope all --model edsr_mobile" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["one.x2.png"]


def test_files_of_one_scale_were_timed_at_one_size():
    sizes = {(c["scale"], entry["latency"]["input_size"]) for c, entry in INTEGER + RIVALS}
    assert len(sizes) == len({scale for scale, _ in sizes})


@pytest.mark.parametrize(("rival", "file"), RIVALS, ids=lambda value: value.get("name", ""))
def test_one_of_our_files_is_better_than_a_rivals_and_no_slower(rival, file):
    assert any(
        all(
            entry["benchmarks"][name]["psnr"] > theirs["psnr"]
            for name, theirs in file["benchmarks"].items()
        )
        and entry["latency"]["median_ms"] <= file["latency"]["median_ms"]
        for card, entry in FILES
        if card["scale"] == rival["scale"]
    )


def test_what_is_not_there_is_named():
    with pytest.raises(InputError, match="no network 'edsr_x9' in the zoo; there are .*edsr_base"):
        zoo.weights("edsr_x9")
    with pytest.raises(InputError, match="edsr_baseline_x4 has no 3-bit file in the zoo; its card"):
        zoo.integer_file("edsr_baseline_x4", 3)
