"""Tries thousands of odd and damaged inputs, and counts what becomes of them: `make fuzz`.

Examples:
  python tests/fuzz/fuzz.py                          # 3,000 inputs, 10 minutes on 2 cores
  python tests/fuzz/fuzz.py --only pictures --count 200 --seed 7
  python tests/fuzz/fuzz.py --only runs:17 --folder /tmp/inputs --keep   # one of them again

The same seed gives the same inputs. Each is a folder; what is in it is kept where anything but a
result or a refusal came of it. The exit status is then 1.
"""

import argparse
import collections
import os
import sys
import time
from pathlib import Path

import children
import inputs
from children import OUTCOMES, Outcome, Task


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=3000, help="number of inputs of all kinds")
    parser.add_argument("--only", nargs="+", default=[], help="kinds, or KIND:NUMBER for one input")
    parser.add_argument("--folder", type=Path, help="where the inputs are; default: a new folder")
    parser.add_argument("--keep", action="store_true", help="keep inputs that went well, too")
    parser.add_argument("--children", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    tasks = chosen(arguments.only, arguments.count, arguments.seed)
    folder = (arguments.folder or Path(children.new_folder())).resolve()
    begun, outcomes = time.monotonic(), []
    tried = children.try_all(tasks, folder, children=arguments.children, keep=arguments.keep)
    for outcome in tried:
        outcomes.append(outcome)
        if outcome.what not in OUTCOMES[:2]:
            report(outcome, folder)
        if len(outcomes) % 100 == 0:
            print(f"{len(outcomes)} of {len(tasks)}", file=sys.stderr, flush=True)
    print(table(outcomes))
    seconds = time.monotonic() - begun
    print(f"seed {arguments.seed}, {len(outcomes)} inputs, {seconds / 60:.1f} minutes, in {folder}")
    return int(any(outcome.what not in OUTCOMES[:2] for outcome in outcomes))


def chosen(only: list[str], count: int, seed: int) -> list[Task]:
    """The inputs in the order of their turns, all kinds mixed."""
    kinds = [word for word in only if ":" not in word] or ([] if only else inputs.KINDS)
    shares = {kind: inputs.share(kind) for kind in kinds}
    tasks = [
        Task(kind, number, seed)
        for kind, share in shares.items()
        for number in range(round(count * share / sum(shares.values())))
    ]
    tasks.sort(key=lambda task: (task.number + 0.5) / shares[task.kind])
    single = [word.split(":") for word in only if ":" in word]
    return tasks + [Task(kind, int(number), seed) for kind, number in single]


def report(outcome: Outcome, folder: Path) -> None:
    task = outcome.task
    print(f"--- {outcome.what}: {task.kind}:{task.number}, {outcome.seconds:.1f} s, in {folder}")
    print(outcome.said.strip().encode(errors="backslashreplace").decode()[-3000:], flush=True)


def table(outcomes: list[Outcome]) -> str:
    """A row of each kind: how many inputs, how many of each outcome, time and memory."""
    lines = [("kind", "inputs", *OUTCOMES, "s, most", "GB, most")]
    by_kind = collections.defaultdict(list)
    for outcome in outcomes:
        by_kind[outcome.task.kind].append(outcome)
    for kind, found in [*by_kind.items(), ("all", outcomes)]:
        counts = collections.Counter(outcome.what for outcome in found)
        lines.append(
            (
                kind,
                str(len(found)),
                *(str(counts[what]) for what in OUTCOMES),
                f"{max((outcome.seconds for outcome in found), default=0):.1f}",
                f"{max((outcome.memory for outcome in found), default=0) / 2**30:.2f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


if __name__ == "__main__":
    sys.exit(main())
