"""The zoo's table for docs/networks.md, from the cards: python benchmarks/zoo_table.py"""

from collections.abc import Sequence
from typing import Any

from pams_tf import zoo
from pams_tf.commands.zoo import ALTERNATIVES
from pams_tf.reporting.tables import markdown_table

SETS = ("Set5", "B100")
HEADING = ("", "", "bytes", *SETS, *ALTERNATIVES, "ms", "colours")


def table(cards: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of Markdown: one row for each card, in their order."""
    rows = []
    before = None
    for card in cards:
        network = f"{card['network']}_x{card['scale']}"
        rows.append(("" if network == before else f"`{network}`", *_cells(card)))
        before = network
    return markdown_table(HEADING, rows)


def _cells(card: dict[str, Any]) -> tuple[str, ...]:
    kind = card["label"]
    if card.get("weights") == "int4":
        kind += ", int4"
    colours = card.get("colours") if card["shipped"] else None
    return (
        kind if card["shipped"] else f"{kind} *",
        f"{card['bytes']:,}",
        *("{psnr:.3f} / {ssim:.4f}".format(**card["benchmarks"][name]) for name in SETS),
        *(_alternative(card, way) for way in ALTERNATIVES),
        f"{card['latency']['median_ms']:.0f}" if card.get("latency") else "",
        _colours(colours) if colours else "",
    )


def _alternative(card: dict[str, Any], way: str) -> str:
    found = card.get("alternatives", {}).get(way, {}).get("B100")
    return "{difference:+.3f} ± {standard_error:.3f}".format(**found) if found else ""


def _colours(found: dict[str, int]) -> str:
    return f"{found['shifted']}, by {found['most']}" if found["shifted"] else "0"


if __name__ == "__main__":
    print("\n".join(table(zoo.cards())))
