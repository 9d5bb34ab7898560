"""Compare results from several devices: a table, a Markdown page and a plot.

Example: pams-mobile-report --results results/ --out report

The results are the JSON files that the benchmark app in mobile/web saves ("Save as JSON"). Writes
report.md, the whole table, and report.png, medians and p90 by model, to --out. Files that are not
results are named and skipped; everything else is still written, but the exit status is then 1.
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from pams_tf.commands import cli
from pams_tf.errors import InputError
from pams_tf.files import check_writable, write_text
from pams_tf.streams import printable

FLAGS = cli.command_flags()
flags.DEFINE_multi_string(
    "results",
    None,
    "Exported .json files, or folders of them; separate several with commas or repeat the flag.",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_string("out", "report", "Folder for report.md and report.png.", flag_values=FLAGS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_report, FLAGS, __doc__, argv)


def _report() -> dict[str, Any]:
    import dataclasses

    from pams_tf.reporting import device_results
    from pams_tf.reporting.plots.devices import device_bars
    from pams_tf.reporting.tables import print_table

    sources = [part.strip() for value in FLAGS.results for part in value.split(",")]
    out = check_writable(FLAGS.out)
    found, skipped = [], []
    for file in device_results.find_files(sources):
        try:
            found += device_results.read_results(file)
        except InputError as error:
            print(printable(f"skipped: {error}"), file=sys.stderr)
            skipped.append(str(file))
    if not found:
        raise InputError(f"none of {', '.join(sources)} is a result of the benchmark app")
    results = device_results.in_order(found)
    write_text(out / "report.md", device_results.markdown(results))
    device_bars(out / "report.png", results)
    for model, rows in device_results.short_rows(results).items():
        print_table(f"{model}, milliseconds", device_results.SHORT_COLUMNS, rows)
    print(f"All columns: {out / 'report.md'}\nPlot:        {out / 'report.png'}")
    report = {
        "results": [dataclasses.asdict(result) for result in results],
        "skipped": skipped,
        "table": str(out / "report.md"),
        "plot": str(out / "report.png"),
    }
    if skipped:
        raise cli.Incomplete(f"skipped {len(skipped)} of the files; see above", report)
    return report
