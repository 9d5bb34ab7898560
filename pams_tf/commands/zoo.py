"""List the networks that come with the package, with their quality, size and latency.

Examples:
  pams-zoo                                all of them
  pams-zoo --name edsr_mobile_x2          one, with the commands that made it
  pams-zoo --curve zoo.png                a plot of PSNR against latency
  pams-finetune --bits 8 --model edsr_mobile --scale 2 --teacher edsr_mobile_x2
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf import zoo
from pams_tf.commands import cli

ALTERNATIVES = ("calibrated", "litert")
"""What the table shows beside a file, of what is in the cards; see benchmarks/alternatives.py."""

FLAGS = cli.command_flags()
flags.DEFINE_string("name", None, "Show only this network, with its commands.", flag_values=FLAGS)

flags.DEFINE_string(
    "curve",
    None,
    "Also plot PSNR against latency, one PNG per scale: --curve zoo.png writes zoo.x2.png, ...",
    flag_values=FLAGS,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_zoo, FLAGS, __doc__, argv)


def _zoo() -> list[dict[str, Any]]:
    from pams_tf.reporting.tables import print_table

    cards = zoo.cards(FLAGS.name)
    baselines = [b for b in zoo.BASELINES if b["scale"] in {card["scale"] for card in cards}]
    sets = list(dict.fromkeys(name for card in cards for name in card["benchmarks"]))
    print_table(
        f"Networks in {zoo.FOLDER}, PSNR-Y in dB",
        ("network", "", *sets, *ALTERNATIVES, "KB", "ms"),
        [
            (
                f"{card['network']} x{card['scale']}",
                card["label"],
                *(_score(card["benchmarks"].get(name)) for name in sets),
                *(_difference(card, way, sets[-1]) for way in ALTERNATIVES),
                f"{card['bytes'] / 1000:,.0f}" if "bytes" in card else "",
                _latency(card.get("latency")),
            )
            for card in [*cards, *baselines]
        ],
    )
    print(
        f"{', '.join(ALTERNATIVES)}: what the same network and bits give without training, in dB "
        f"on {sets[-1]} against the file; see benchmarks/alternatives.py"
    )
    for machine in sorted({card["machine"] for card in cards if "machine" in card}):
        print(f"ms: with 2 threads on {machine}, {_input_sizes(cards)}")
    for baseline in baselines:
        print(f"{baseline['network']}: {baseline['made']}")
    if FLAGS.curve:
        _draw([*cards, *baselines])
    if FLAGS.name:
        for card in cards:
            _print_card(card)
    return cards


def _print_card(card: dict[str, Any]) -> None:
    where = zoo.FOLDER / card["file"] if card["shipped"] else "not in the package"
    print(f"\n{card['label']}: {where}")
    print(f"  {card['parameters']:,} parameters; trained on {card['data']}")
    for name, result in card["benchmarks"].items():
        print(f"  {name}: {result['psnr']:.3f} dB, SSIM {result['ssim']:.4f}")
    if colours := card.get("colours"):
        print(
            "  flat colours: {shifted} of {of} shift by more than {allowed} grey levels, the worst "
            "by {most}".format(**colours)
        )
    for way, results in card.get("alternatives", {}).items():
        told = (
            f"{name} {found['difference']:+.3f} ± {found['standard_error']:.3f} dB"
            for name, found in results.items()
        )
        print(f"  {way} in its place: {', '.join(told)}")
    for command in card["commands"]:
        print(f"  {command}")


def _draw(cards: list[dict[str, Any]]) -> None:
    """One plot per upscaling factor: only latencies at the same input size are comparable."""
    from pams_tf.reporting.plots.tradeoffs import Tradeoff, tradeoffs

    timed = [card for card in cards if "latency" in card]
    for scale in sorted({card["scale"] for card in timed}):
        shown = [card for card in timed if card["scale"] == scale]
        points = [
            Tradeoff(
                card["network"],
                card["label"],
                card["latency"]["median_ms"],
                {name: result["psnr"] for name, result in card["benchmarks"].items()},
            )
            for card in shown
        ]
        size = shown[0]["latency"]["input_size"]
        path = Path(FLAGS.curve).with_suffix(f".x{scale}.png")
        tradeoffs(path, points, f"Integer files, x{scale}, LR {size}, 2 threads")
        print(path)


def _latency(latency: dict[str, Any] | None) -> str:
    return f"{latency['median_ms']:.0f}" if latency else ""


def _input_sizes(cards: Sequence[dict[str, Any]]) -> str:
    """The LR size of each scale's latencies; they are the same for all files of a scale."""
    sizes = {card["scale"]: card["latency"]["input_size"] for card in cards if "latency" in card}
    return ", ".join(f"x{scale} from {size}" for scale, size in sorted(sizes.items()))


def _score(result: dict[str, float] | None) -> str:
    return f"{result['psnr']:.3f}" if result else ""


def _difference(card: dict[str, Any], way: str, benchmark: str) -> str:
    found = card.get("alternatives", {}).get(way, {}).get(benchmark)
    return f"{found['difference']:+.2f}" if found else ""
