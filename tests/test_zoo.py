"""What ships is what its card says."""

import numpy as np
import pytest
from PIL import Image

from pams_tf import InputError, from_preset, models, zoo
from pams_tf.commands import zoo as command
from pams_tf.data import datasets
from pams_tf.evaluation import colours
from pams_tf.evaluation.upscaler import Upscaler, keras_upscale, tflite_upscale
from pams_tf.litert import metadata
from pams_tf.litert.card import model_card
from pams_tf.litert.flatbuffer import read_file
from pams_tf.recipe import CARD_FORMAT
from pams_tf.training.teachers import load_teacher

CARDS = zoo.cards()
INTEGER = [card for card in CARDS if card["label"] != "float"]
FILES = [card for card in INTEGER if card["shipped"]]


def named(card):
    return card["name"]


def test_every_file_has_a_card():
    assert "edsr_baseline_x4" in zoo.names()
    for card in CARDS:
        network = f"{card['network']}_x{card['scale']}"
        bits = f"_{card['recipe']['bits']}bit" if card["recipe"] else ""
        assert card["name"] == network + bits
        assert card["format"] == CARD_FORMAT
        if card["shipped"]:
            assert (zoo.FOLDER / card["file"]).stat().st_size == card["bytes"]
        for result in card["benchmarks"].values():
            assert 20 < result["psnr"] < 45
            assert 0.5 < result["ssim"] < 1
    listed = {card["file"] for card in CARDS if card["shipped"]}
    there = {path.name for path in zoo.FOLDER.iterdir() if path.suffix in (".keras", ".tflite")}
    assert there == listed


@pytest.mark.parametrize("card", FILES, ids=named)
def test_a_card_tells_of_the_file_beside_it(card):
    content = (zoo.FOLDER / card["file"]).read_bytes()
    again = model_card(content, card["file"])
    assert again.items() <= card.items()


@pytest.mark.parametrize(
    "card",
    [
        # The largest network takes a minute for its many pixels.
        pytest.param(card, marks=[pytest.mark.slow] * (card["network"] == "edsr_baseline"))
        for card in FILES
    ],
    ids=named,
)
def test_a_card_says_how_many_flat_colours_shift(card):
    allowed = {8: 3, 4: 4}[card["recipe"]["bits"]]
    assert colours.summary(Upscaler(card["name"]), allowed) == card["colours"]


def test_no_file_shifts_a_flat_colour_visibly():
    assert {card["name"]: card["colours"]["shifted"] for card in FILES} == dict.fromkeys(
        (card["name"] for card in FILES), 0
    )


def test_the_zoo_stays_small():
    assert sum(path.stat().st_size for path in zoo.FOLDER.iterdir()) < 16e6
    for name in set(zoo.names()) - {"edsr_baseline_x4"}:
        assert zoo.weights(name).stat().st_size < 1e6


@pytest.mark.parametrize("name", zoo.names())
def test_float_weights_are_a_teacher_by_name(name):
    card = zoo.card(name)
    teacher = load_teacher(name, card["network"], card["scale"])
    assert (teacher.preset, teacher.scale, teacher.recipe) == (card["network"], card["scale"], None)
    assert teacher.count_params() == card["parameters"]


@pytest.mark.parametrize("card", FILES, ids=named)
def test_integer_files_are_the_float_network_quantized(card):
    path = zoo.FOLDER / card["file"]
    about = metadata.read(path.read_bytes())
    assert (about["preset"], about["scale"]) == (card["network"], card["scale"])
    assert about["recipe"] == card["recipe"]
    assert about["recipe"]["scope"] == "all"
    assert {t.dtype for t in read_file(path).tensors} == {
        "int8", "int32", *({"uint8"} & {card["io_dtype"]}), *({"int4"} & {card["weights"]})
    }  # fmt: skip
    image = datasets.sample(card["scale"], "valid").load(0)[0][20:60, 20:70]
    teacher = keras_upscale(models.load(f"{card['network']}_x{card['scale']}"))(image).astype(int)
    difference = np.abs(tflite_upscale(path)(image) - teacher).mean()
    assert 0 < difference < {8: 1.5, 4: 5.0}[card["recipe"]["bits"]]


@pytest.mark.parametrize(("network", "bits"), [("edsr_baseline", 8), ("edsr_mobile", 4)])
def test_a_student_of_the_zoo_computes_its_file(network, bits):
    """In a graph, whose optimizer must not change the last bit of a scale."""
    student = from_preset(network, 4, bits=bits)
    assert student.recipe.asymmetric
    image = datasets.sample(4, "valid").load(0)[0][20:60, 20:70]
    file = tflite_upscale(zoo.integer_file(f"{network}_x4", bits))
    np.testing.assert_array_equal(keras_upscale(student)(image), file(image))


def test_the_command_lists_the_zoo_and_draws_its_curves(tmp_path, capsys):
    assert command.main(["zoo", f"--curve={tmp_path / 'zoo.png'}"]) == 0
    shown = capsys.readouterr().out
    assert "…" not in shown  # nothing is cut off at 80 columns
    for card in INTEGER:
        assert f"{card['benchmarks']['Set5']['psnr']:.3f}" in shown
        picture = tmp_path / f"zoo.x{card['scale']}.png"
        assert np.asarray(Image.open(picture)).std() > 5


def test_one_network_comes_with_its_commands_and_nobody_elses_curve(tmp_path, capsys):
    where = tmp_path / "one.png"
    assert command.main(["zoo", "--name=edsr_mobile_x2", f"--curve={where}"]) == 0
    shown = capsys.readouterr().out
    assert "finetune.py --recipe best --bits 4 --scope all --model edsr_mobile" in shown
    assert "0 of 125 shift by more than 3 grey levels, the worst by 3" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["one.x2.png"]


def test_files_of_one_scale_were_timed_at_one_size():
    timed = [card for card in (*INTEGER, *zoo.BASELINES) if "latency" in card]
    sizes = {(card["scale"], card["latency"]["input_size"]) for card in timed}
    assert len(sizes) == len({scale for scale, _ in sizes})


@pytest.mark.parametrize("baseline", zoo.BASELINES, ids=named)
def test_one_of_our_files_is_better_than_a_baseline_and_no_slower(baseline):
    """As their cards say; nothing is timed here."""
    assert any(
        all(
            card["benchmarks"][name]["psnr"] > theirs["psnr"]
            for name, theirs in baseline["benchmarks"].items()
        )
        and card["latency"]["median_ms"] <= baseline["latency"]["median_ms"]
        for card in FILES
        if card["scale"] == baseline["scale"] and "latency" in card
    )


def test_what_is_not_there_is_named():
    with pytest.raises(InputError, match=r"no edsr_x9\.keras in the zoo; there are .*edsr_base"):
        zoo.weights("edsr_x9")
    with pytest.raises(InputError, match=r"no edsr_baseline_x4_3bit\.tflite in the zoo"):
        zoo.integer_file("edsr_baseline_x4", 3)
