"""List the networks that come with the package, with what they cost and give.

Examples:
  pams-zoo                                all of them
  pams-zoo --name edsr_mobile_x2          one, with the commands that made it
  pams-zoo --curve zoo.png                PSNR against latency, a picture
  pams-finetune --bits 8 --model edsr_mobile --scale 2 --teacher edsr_mobile_x2
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf import zoo
from pams_tf.commands import cli

FLAGS = cli.command_flags()
flags.DEFINE_string("name", None, "One network, with its commands.", flag_values=FLAGS)

flags.DEFINE_string(
    "curve",
    None,
    "Also draw PSNR against latency, a picture a scale: --curve zoo.png writes zoo.x2.png, ...",
    flag_values=FLAGS,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_zoo, FLAGS, __doc__, argv)


def _zoo() -> list[dict[str, Any]]:
    from pams_tf.evaluation.benchmark import print_table

    cards = [zoo.card(name) for name in ([FLAGS.name] if FLAGS.name else zoo.names())]
    rivals = [rival for rival in zoo.RIVALS if rival["scale"] in {c["scale"] for c in cards}]
    sets = list(dict.fromkeys(s for c in cards for e in c["entries"] for s in e["benchmarks"]))
    print_table(
        f"Networks in {zoo.FOLDER}",
        ("network", "", *(f"{name}, dB" for name in sets), "KB", "latency, ms"),
        [
            (
                card["name"],
                entry["label"],
                *(_score(entry["benchmarks"].get(name)) for name in sets),
                f"{entry['bytes'] / 1000:,.0f}" if "bytes" in entry else "",
                _latency(entry.get("latency")),
            )
            for card in [*cards, *rivals]
            for entry in card["entries"]
        ],
    )
    for machine in sorted({card["machine"] for card in cards}):
        print(f"Latency with 2 threads on {machine}, at the LR size beside it")
    for rival in rivals:
        print(f"{rival['preset']}: {rival['about']}")
    if FLAGS.curve:
        _draw([*cards, *rivals])
    if FLAGS.name:
        (card,) = cards
        print(f"{card['parameters']:,} parameters; trained on {card['data']}")
        for entry in card["entries"]:
            where = zoo.FOLDER / entry["file"]
            print(f"\n{entry['label']}: {where if where.is_file() else 'not in the package'}")
            for name, result in entry["benchmarks"].items():
                print(f"  {name}: {result['psnr']:.3f} dB, SSIM {result['ssim']:.4f}")
            for command in entry["commands"]:
                print(f"  {command}")
    return cards


def _draw(cards: list[dict[str, Any]]) -> None:
    """One picture a scale: a curve can join only what was timed at one size."""
    from pams_tf.evaluation.figures import Tradeoff, tradeoffs

    for scale in sorted({card["scale"] for card in cards}):
        timed = [
            (card["preset"], entry)
            for card in cards
            for entry in card["entries"]
            if card["scale"] == scale and "latency" in entry
        ]
        points = [
            Tradeoff(
                preset,
                entry["label"],
                entry["latency"]["median_ms"],
                {name: result["psnr"] for name, result in entry["benchmarks"].items()},
            )
            for preset, entry in timed
        ]
        size = timed[0][1]["latency"]["input_size"]
        path = Path(FLAGS.curve).with_suffix(f".x{scale}.png")
        tradeoffs(path, points, f"Integer files, x{scale}, LR {size}, 2 threads")
        print(path)


def _latency(latency: dict[str, Any] | None) -> str:
    return f"{latency['median_ms']:.0f} at {latency['input_size']}" if latency else ""


def _score(result: dict[str, float] | None) -> str:
    return f"{result['psnr']:.3f}" if result else ""
