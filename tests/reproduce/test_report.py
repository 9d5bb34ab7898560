"""Reports from figures that are known."""

import json

import numpy as np
import pytest
from PIL import Image

from pams_tf import InputError, models
from pams_tf.data.calibration import packed_images
from pams_tf.data.patches import training_batch
from pams_tf.models.blocks import RGB_MEAN
from pams_tf.reporting.plots.ranges import activation_ranges
from pams_tf.reproduce import paper, report, tables
from pams_tf.reproduce.budgets import BUDGETS
from pams_tf.reproduce.figures import activation_maxima, shown_blocks
from pams_tf.reproduce.networks import Bicubic, Catalogue, Given
from pams_tf.reproduce.storage import table_3
from pams_tf.training.settings import FEW_BITS

PSNR = {"dorefa": 28.0, "tflite": 29.0, "pact": 30.0, "pams": 31.0}
CONTEXT = {
    "command": "pams-reproduce --table 2",
    "machine": {
        "cpu": "a processor", "cores": 2, "gpus": [], "system": "Linux", "python": "3.11",
        "tensorflow": "2.20", "keras": "3.12",
    },
    "budget": BUDGETS["cpu"].to_dict(),
    "data": "photographs",
    "missing_sets": ["Set14", "Urban100"],
    "failed": {},
    "given": ["edsr_baseline_x4"],
    "runs": [
        {"name": "a_run", "steps": 300, "best_step": 250, "best_psnr": 29.5, "recipe": {"bits": 8}}
    ],
}  # fmt: skip


def figures(network, name):
    """Set5 only; DoReFa is the best at 4 bits here, so that the order differs from the paper's."""
    if name != "Set5":
        return None
    if isinstance(network, Bicubic):
        return {"psnr": 28.0, "ssim": 0.8}
    if isinstance(network, Given):
        return {"psnr": 31.5, "ssim": 0.88}
    recipe = network.recipe
    best = 32.0 if (recipe.method, recipe.bits) == ("dorefa", 4) else PSNR[recipe.method]
    return {"psnr": best, "ssim": 0.87}


@pytest.fixture
def catalogue(tmp_path):
    return Catalogue(BUDGETS["cpu"], tmp_path)


def test_a_table_of_psnr_alone_shows_psnr_alone(catalogue, tmp_path):
    table = tables.table_5(catalogue)
    text, machine = report.write_table(tmp_path, table, report.fill(table, figures), CONTEXT)
    row = next(line for line in text.read_text().splitlines() if line.startswith("| 8 | EMA"))
    assert row.startswith("| 8 | EMA (Eq. 4) | paper | 32.002 |")
    cell = json.loads(machine.read_text())["sections"][0]["cells"][0]
    assert cell["ours"] == {"PSNR": 31.0}
    assert cell["difference"] == {"PSNR": pytest.approx(31.0 - 31.782)}


def test_ours_stand_beneath_the_papers_with_the_difference(catalogue, tmp_path):
    table = tables.table_2(catalogue)
    text, machine = report.write_table(
        tmp_path / "reports", table, report.fill(table, figures), CONTEXT
    )
    lines = text.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| Set5 | 8 | paper"))
    assert lines[start].endswith(
        f"| 31.520 / 0.8853 | 32.124 / 0.8940 | {report.EMPTY} | {report.EMPTY} |"
    )
    assert "| 30.000 / 0.8700 | 31.000 / 0.8700 |" in lines[start + 1]
    assert lines[start + 2].endswith(
        f"| -1.520 / -0.0153 | -1.124 / -0.0240 | {report.EMPTY} | {report.EMPTY} |"
    )
    content = json.loads(machine.read_text())
    gaps = {(*cell["row"], cell["column"]): cell for cell in content["sections"][1]["cells"]}
    pams = gaps["Set5", "4", "PAMS"]
    assert pams["paper"]["PSNR"] == pytest.approx(31.591 - 32.095)
    assert pams["ours"]["PSNR"] == pytest.approx(31.0 - 31.5)
    assert pams["difference"]["PSNR"] == pytest.approx(-0.5 + 0.504)
    empty = [c["ours"] for c in content["sections"][0]["cells"] if c["row"][0] == "Set14"]
    assert empty == [None] * 16
    assert content["machine"]["cpu"] == "a processor"


def test_orders_are_named_and_compared(catalogue):
    table = tables.table_2(catalogue)
    text = report.markdown(table, report.fill(table, figures), CONTEXT)
    paper_8 = "PAMS > TF Lite > PACT > DoReFa"
    assert f"| Set5 | 8 | {paper_8} | PAMS > PACT > TF Lite > DoReFa | no |" in text
    paper_4 = "PAMS > PACT > TF Lite > DoReFa"
    assert f"| Set5 | 4 | {paper_4} | DoReFa > PAMS > PACT > TF Lite | no |" in text
    assert "Not measured, so empty: Set14, Urban100." in text
    assert "a processor, 2 cores, no GPU" in text
    assert "learning rate 1e-05" in text
    assert f"4 bits or fewer: learning rate {FEW_BITS['learning_rate']}" in text
    assert "| a_run | 300 | 250 | 29.500 |" in text


def test_table_4_has_one_sign(catalogue):
    cells = {(c.row[0], c.column): c for c in tables.table_4(catalogue).sections[0].cells}
    assert cells["PACT without BN", "Set5"].paper == (0.575,)
    assert cells["PAMS without BN", "Set5"].paper == (-0.029,)
    cell = cells["PACT with BN", "Set5"]
    assert cell.of.settings.overrides["batch_norm"]
    assert cell.minus.recipe.method == "pact"
    assert cell.minus.teacher.name == cell.of.name


def test_table_6_is_with_skt_less_without(catalogue):
    for cell in tables.table_6(catalogue).sections[0].cells:
        assert cell.of.settings.skt_weight == 1000
        assert cell.minus.settings.skt_weight == 0
        assert cell.of.recipe == cell.minus.recipe
        assert cell.row == (str(cell.of.recipe.bits),)


def test_table_3_is_the_papers_and_weighs_real_files(tiny, tmp_path):
    table = table_3(Catalogue(tiny, tmp_path / "runs"))
    storage, saved, files = table.sections
    for cell in storage.cells:
        assert cell.value == pytest.approx(cell.paper, abs=0.0025)
    assert [cell.value[0] for cell in saved.cells if cell.paper] == pytest.approx(
        list(paper.TABLE_3_SAVED["EDSR"].values()), abs=0.05
    )
    sizes = {(cell.row[0], cell.column): round(1e6 * cell.value[0]) for cell in files.cells}
    written = [path.stat().st_size for path in (tmp_path / "runs" / "files").iterdir()]
    assert sorted(sizes.values()) == sorted(written)
    for family in paper.FAMILIES:
        assert sizes[family, "8 bits"] < sizes[family, "float32"]
        assert sizes[family, "4 bits, weights in int4"] < sizes[family, "4 bits"]


def test_activation_maxima_are_those_of_the_layers():
    """The first layer holds the head's output: one convolution in NumPy."""
    network = models.build("edsr_mobile", 4, blocks=2, features=4, batch_norm=True)
    maxima = activation_maxima(network, None, 5)
    assert maxima.shape == (5, 6)
    packed = packed_images(None, 4, 48)
    lr, _ = training_batch(packed, seed=1, step=0, batch_size=4, patch_size=48)
    padded = np.pad(lr - np.float32(RGB_MEAN), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    kernel = network.get_layer("head").kernel.numpy()
    head = np.einsum("nhwcij,ijco->nhwo", windows, kernel)
    np.testing.assert_allclose(maxima[:4, 0], np.abs(head).max(axis=(1, 2, 3)), rtol=1e-4)


def test_activation_ranges_are_drawn(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "ranges.png"
    activation_ranges(path, {"with": rng.uniform(1, 9, (8, 5)), "without": np.ones((8, 5))})
    assert Image.open(path).width == 1600
    with pytest.raises(InputError, match=r"no activations to draw: \{'with': \(0, 5\)\}"):
        activation_ranges(path, {"with": np.ones((0, 5))})


def test_the_blocks_of_figure_5_or_what_there_is():
    names = [f"block_{index}_{site}" for index in range(16) for site in ("input", "relu")]
    assert shown_blocks(["head_output", *names], (8, 13)) == [8, 13]
    assert shown_blocks(names[:20], (8, 13)) == [8]
    assert shown_blocks(names[:6], (8, 13)) == [1, 2]
    assert shown_blocks(names[:2], (8, 13)) == [0]


def test_table_2_has_the_mean_and_the_spread_over_seeds(catalogue):
    def by_seed(network, name):
        found = figures(network, name)
        if found and not isinstance(network, Given | Bicubic) and network.recipe.bits == 4:
            found = {**found, "psnr": found["psnr"] + (0.0, 0.3, 0.9)[network.settings.seed - 1]}
        return found

    table = tables.table_2(catalogue)
    ours = report.fill(table, by_seed)
    section = table.sections[2]
    cells = {(cell.row[0], cell.column): cell for cell in section.cells}
    seeds = [network.settings.seed for network in cells["Set5", "PAMS"].networks if network]
    assert seeds == [1, 2, 3]
    mean, deviation = ours[cells["Set5", "PACT"]]
    assert mean == pytest.approx(30.4)
    assert deviation == pytest.approx(np.std([0.0, 0.3, 0.9], ddof=1))
    assert ours[cells["B100", "PACT"]] is None
    # The first seed's run is the one that the rest of the table shows.
    shown = {(c.row, c.column): c.of.name for c in table.sections[0].cells if c.of}
    assert cells["Set5", "PAMS"].of.name == shown[("Set5", "4"), "PAMS"]
    text = report.markdown(table, ours, CONTEXT)
    assert "## 4 bits, mean and standard deviation over 3 seeds (dB)" in text
    assert "DoReFa > PAMS > PAMS, Eq. 3 > PAMS, unsigned > PACT > TF Lite" in text


def test_a_seed_that_is_missing_leaves_the_mean_empty(catalogue):
    def without_the_third(network, name):
        third = not isinstance(network, Given | Bicubic) and network.settings.seed == 3
        return None if third else figures(network, name)

    table = tables.table_2(catalogue)
    ours = report.fill(table, without_the_third)
    assert {ours[cell] for cell in table.sections[2].cells} == {None}


def test_one_seed_has_no_spread(tmp_path):
    assert len(tables.table_2(Catalogue(BUDGETS["smoke"], tmp_path)).sections) == 2
