"""List the networks that come with the package, with what they cost and give.

Examples:
  pams-zoo                                all of them
  pams-zoo --name edsr_mobile_x2          one, with the commands that made it
  pams-finetune --bits 8 --model edsr_mobile --scale 2 --teacher edsr_mobile_x2
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from pams_tf import zoo
from pams_tf.commands import cli

FLAGS = cli.command_flags()
flags.DEFINE_string("name", None, "One network, with its commands.", flag_values=FLAGS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_zoo, FLAGS, __doc__, argv)


def _zoo() -> list[dict[str, Any]]:
    from pams_tf.evaluation.benchmark import print_table

    cards = [zoo.card(name) for name in ([FLAGS.name] if FLAGS.name else zoo.names())]
    sets = list(dict.fromkeys(s for c in cards for e in c["entries"] for s in e["benchmarks"]))
    print_table(
        f"Networks in {zoo.FOLDER}",
        ("network", "", *(f"{name}, dB / SSIM" for name in sets), "KB", "latency, ms"),
        [
            (
                card["name"],
                entry["label"],
                *(_score(entry["benchmarks"].get(name)) for name in sets),
                f"{entry['bytes'] / 1000:,.0f}",
                f"{entry['latency']['median_ms']:.0f}" if "latency" in entry else "",
            )
            for card in cards
            for entry in card["entries"]
        ],
    )
    for machine in sorted({card["machine"] for card in cards}):
        print(f"Latency at 180x320, 2 threads, on {machine}")
    if FLAGS.name:
        (card,) = cards
        print(f"{card['parameters']:,} parameters; trained on {card['data']}")
        for entry in card["entries"]:
            print(f"\n{entry['label']}: {zoo.FOLDER / entry['file']}")
            for command in entry["commands"]:
                print(f"  {command}")
    return cards


def _score(result: dict[str, float] | None) -> str:
    return f"{result['psnr']:.3f} / {result['ssim']:.4f}" if result else ""
