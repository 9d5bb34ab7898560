"""The table of docs/networks.md is the cards'."""

import importlib.util
from pathlib import Path

from pams_tf import zoo

ROOT = Path(__file__).parents[2]


def script():
    spec = importlib.util.spec_from_file_location("zoo_table", ROOT / "benchmarks/zoo_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_guide_shows_what_the_cards_say():
    lines = script().table(zoo.cards())
    assert len(lines) == 2 + len(zoo.cards())
    assert "\n".join(lines) in (ROOT / "docs/networks.md").read_text()


def test_a_row_names_what_is_not_shipped_and_what_no_training_gives():
    card = {
        "network": "net", "scale": 3, "label": "4 bits", "shipped": False, "bytes": 1234,
        "weights": "int8", "latency": {"median_ms": 12.4},
        "benchmarks": {n: {"psnr": 33.0, "ssim": 0.9} for n in ("Set5", "B100")},
        "alternatives": {"calibrated": {"B100": {"difference": -0.5, "standard_error": 0.01}}},
        "colours": {"shifted": 2, "most": 5},
    }  # fmt: skip
    table = script().table
    psnr = "33.000 / 0.9000 | 33.000 / 0.9000"
    assert table([card])[-1] == (
        f"| `net_x3` | 4 bits * | 1,234 | {psnr} | -0.500 ± 0.010 |  | 12 |  |"
    )
    card |= {"shipped": True, "weights": "int4"}
    assert table([card])[-1].startswith("| `net_x3` | 4 bits, int4 | ")
    assert table([card])[-1].endswith("| 12 | 2, by 5 |")
