"""Pictures are there, of the right size, and show the pixels they should."""

import numpy as np
import pytest
from PIL import Image

from pams_tf.errors import InputError
from pams_tf.evaluation.crops import busiest_crops
from pams_tf.reporting.plots import tradeoffs as plots_of_tradeoffs
from pams_tf.reporting.plots.codes import CodesPanel, differing_codes
from pams_tf.reporting.plots.comparison import Crop, comparison
from pams_tf.reporting.plots.ranges import alpha_curves
from pams_tf.reporting.plots.style import plain
from pams_tf.reporting.plots.tradeoffs import Tradeoff, tradeoffs


def _read(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def _count(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((picture == color).all(axis=-1).sum())


def test_busiest_crops_find_the_texture_and_keep_apart():
    image = np.full((100, 140, 3), 90, np.uint8)
    generator = np.random.default_rng(0)
    image[20:36, 80:96] = generator.integers(0, 256, (16, 16, 3))
    image[60:76, 30:46] = generator.integers(80, 120, (16, 16, 3))
    strong, weak = busiest_crops(image, 20, 2)
    for crop, (top, left) in ((strong, (20, 80)), (weak, (60, 30))):
        assert crop.height == crop.width == 20
        assert crop.top <= top
        assert crop.left <= left
        assert crop.top + 20 >= top + 16
        assert crop.left + 20 >= left + 16


def test_busiest_crops_do_not_overlap_or_touch_the_border():
    image = np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    crops = busiest_crops(image, 16, 50)
    assert 4 < len(crops) < 50
    covered = np.zeros((90, 120), int)
    for top, left, height, width in crops:
        covered[top : top + height, left : left + width] += 1
    assert covered.max() == 1
    assert covered[:4].sum() + covered[-4:].sum() + covered[:, :4].sum() == 0


def test_busiest_crops_of_small_images():
    image = np.random.default_rng(1).integers(0, 256, (16, 17, 3), dtype=np.uint8)
    assert busiest_crops(image, 16, 3) in ([Crop(0, 0, 16, 16)], [Crop(0, 1, 16, 16)])
    with pytest.raises(InputError, match=r"17x17 do not fit into an image of 16x17"):
        busiest_crops(image, 17, 1)
    with pytest.raises(InputError, match="count is 0"):
        busiest_crops(image, 8, 0)


@pytest.mark.parametrize(("height", "width"), [(60, 90), (90, 60)])
def test_comparison_shows_each_panel_and_each_crop(tmp_path, height, width):
    colors = [(200, 30, 40), (30, 160, 60), (50, 60, 210)]
    panels = [
        (f"panel {i}", np.full((height, width, 3), color, np.uint8), f"{30 + i}.05 dB")
        for i, color in enumerate(colors)
    ]
    path = tmp_path / "new" / "compare.png"
    comparison(path, panels, [Crop(5, 5, 20, 20), (30, 30, 10, 20)], title="three")
    picture = _read(path)
    assert picture.shape[1] == 1600
    column = (1600 - 2 * 20 - 2 * 12) / 3
    # A whole picture, a square crop and one half as high as wide, less frames.
    area = column**2 * (min(height / width, 800 / column * 1.0) + 1 + 0.5)
    for color in colors:
        assert 0.93 * area < _count(picture, color) < area
    # The frames: orange and blue, in each whole picture and around each crop.
    for frame in ((0xE6, 0x9F, 0x00), (0x56, 0xB4, 0xE9)):
        assert _count(picture, frame) > 3 * 4 * 100


def test_crops_are_enlarged_by_repeating_pixels(tmp_path):
    generator = np.random.default_rng(5)
    image = np.zeros((40, 40, 3), np.uint8)
    image[10:18, 20:28] = generator.integers(0, 256, (8, 8, 3))
    path = tmp_path / "one.png"
    comparison(path, [("HR", image)], [Crop(10, 20, 8, 8)])
    picture = _read(path)
    # The crop fills the lowest 800 pixels above the margin: sample the middle of every pixel.
    bottom, left, step = picture.shape[0] - 20, 20, 100
    centres = np.arange(8) * step + step // 2
    seen = picture[bottom - 800 + centres][:, left + centres]
    np.testing.assert_array_equal(seen, image[10:18, 20:28])


def test_what_a_comparison_refuses(tmp_path):
    image = np.zeros((20, 30, 3), np.uint8)
    path = tmp_path / "no.png"
    for panels, crops, message in (
        ([], [], "no panels"),
        ([("a", image), ("b", image[1:])], [], r"'b' has shape \(19, 30, 3\)"),
        ([("a", image.astype(float))], [], "'a' is float64"),
        ([("a", image[..., 0])], [], r"uint8 \(20, 30\)"),
        ([("a", image)], [(15, 0, 6, 6)], "top=15.*not inside the image of 20x30"),
        ([("a", image)], [(-1, 0, 6, 6)], "not inside"),
        ([("a", image)], [(0, 0, 0, 6)], "not inside"),
        ([("a", image)], [(0, 0, 2, 2)] * 7, "7 crops"),
    ):
        with pytest.raises(InputError, match=message):
            comparison(path, panels, crops)
    assert not path.exists()


def _edsr_names() -> list[str]:
    return [f"block_{i}_{role}" for i in range(16) for role in ("input", "relu", "residual")]


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (_edsr_names(), 1),
        ([*(f"rdb_{i}_{role}" for i in range(4) for role in "abc"), "global", "tail"], 2),
        (["alpha", "beta"], 1),
        ([f"layer{chr(97 + i)}" for i in range(20)], 1),
        (["only_1"], 1),
    ],
)
def test_alpha_curves_are_drawn_for_any_names(tmp_path, names, rows):
    steps = np.arange(0, 100, 10)
    path = tmp_path / "alphas.png"
    alpha_curves(path, steps, {name: 5.0 + i + steps / 50 for i, name in enumerate(names)})
    picture = _read(path)
    assert picture.shape == (100 + 440 * rows, 1600, 3)
    # Colour, beside the black of axes and the grey of grids: the curves.
    assert ((picture.max(-1).astype(int) - picture.min(-1)) > 60).sum() > 300


def test_deeper_blocks_are_brighter_and_every_curve_is_seen(tmp_path):
    steps = np.arange(5)
    path = tmp_path / "alphas.png"
    alpha_curves(path, steps, {f"block_{i}_relu": np.full(5, 1.0 + i) for i in range(4)})
    # Along a vertical line through the panel, from top (deepest) to bottom: four coloured curves.
    line = _read(path)[:, 733].astype(int)
    curves = [pixel for pixel in line if pixel.max() - pixel.min() > 60]
    brightness = [int(pixel.sum()) for pixel in curves]
    assert len(curves) >= 4
    assert brightness[0] > brightness[-1] + 100


def test_alphas_that_start_at_zero_or_are_missing_are_left_out(tmp_path):
    path = tmp_path / "alphas.png"
    alpha_curves(path, [0, 1, 2], {"a_0": [0.0, 5.0, 100.0], "a_1": [np.nan, 0.01, 0.02]})
    assert _read(path).shape == (540, 1600, 3)


def test_what_alpha_curves_refuse(tmp_path):
    path = tmp_path / "no.png"
    for steps, curves, message in (
        ([1, 2], {}, "0 curves over 2 steps"),
        ([], {"a": []}, "1 curves over 0 steps"),
        ([1, 2], {"a": [1.0, 2.0], "b": [1.0]}, r"'b' has shape \(1,\)"),
    ):
        with pytest.raises(InputError, match=message):
            alpha_curves(path, steps, curves)
    assert not path.exists()


def test_what_is_better_and_faster_stands_above_and_to_the_left(tmp_path):
    path = tmp_path / "tradeoff.png"
    good = [Tradeoff(f"good {ms}", "8 bits", ms, {"Set5": 33 + ms / 100}) for ms in (10, 20)]
    bad = [Tradeoff(f"bad {ms}", "4 bits", ms, {"Set5": 32 + ms / 100}) for ms in (30, 40)]
    tradeoffs(path, [*bad, *good], "two series")  # the first series has the first colour
    picture = _read(path).astype(int)
    middle = {}
    for name, color in (("bad", (0x00, 0x72, 0xB2)), ("good", (0xD5, 0x5E, 0x00))):
        marks = np.argwhere(np.abs(picture - color).max(axis=-1) < 8)
        middle[name] = np.median(marks, axis=0)
    assert picture.shape == (600, 1600, 3)
    assert (middle["good"] < middle["bad"]).all()


def test_labels_of_near_points_cover_nothing(tmp_path, monkeypatch):
    figures = []
    save = plots_of_tradeoffs.save
    monkeypatch.setattr(
        plots_of_tradeoffs,
        "save",
        lambda figure, path: figures.append(figure) or save(figure, path),
    )
    near = [
        Tradeoff(f"network {i}", f"{8 - i % 2} bits", 20.0 + i, {"Set5": 33 + 0.01 * i})
        for i in range(4)
    ]
    tradeoffs(tmp_path / "near.png", [*near, Tradeoff("far", "8 bits", 90.0, {"Set5": 33.5})])
    (axes,) = figures[0].axes
    boxes = [text.get_window_extent() for text in axes.texts]
    points = [axes.transData.transform((one.ms, one.psnr["Set5"])) for one in near]
    assert sorted(text.get_text() for text in axes.texts) == sorted(
        ["far", *(one.label for one in near)]
    )
    for i, box in enumerate(boxes):
        assert not box.count_overlaps([*boxes[:i], *boxes[i + 1 :]])
        assert not any(box.contains(x, y) for x, y in points)


def test_what_a_tradeoff_refuses(tmp_path):
    path = tmp_path / "no.png"
    one, other = ({"Set5": 33.0}, {"B100": 28.0})
    for networks in ([], [Tradeoff("a", "8", 1.0, one), Tradeoff("b", "8", 2.0, other)]):
        with pytest.raises(InputError, match="measured on the same sets"):
            tradeoffs(path, networks)
    assert not path.exists()


def test_figures_leave_pyplot_alone(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from pams_tf.reporting.plots.ranges import alpha_curves\n"
        f"alpha_curves({str(tmp_path / 'a.png')!r}, [1], {{'a': [1.0]}})\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_are_drawn_as_they_are(tmp_path, recwarn):
    """Not as a formula, which Matplotlib would refuse here, nor as bytes that it cannot draw."""
    image = np.zeros((40, 60, 3), np.uint8)
    panels = [(r"$\a", image, "\udcfc$\x1b漢")]
    comparison(tmp_path / "c.png", panels, [], title=r"photo $\b$ \udcfc")
    points = [Tradeoff(r"$\a$漢", "$8$", 10.0 + i, {"\udcfc漢": 30.0}) for i in range(2)]
    tradeoffs(tmp_path / "t.png", points, title=r"$\c$")
    panel = CodesPanel(r"$\d$", [r"$\e$"], {"differ": [0.5]})
    differing_codes(tmp_path / "d.png", "a\udcfc.tflite $\\f$", [panel], allowed=0.1)
    assert all((tmp_path / f"{name}.png").stat().st_size > 5000 for name in "ctd")
    assert plain("$5") == r"\$5"
    assert not recwarn.list
