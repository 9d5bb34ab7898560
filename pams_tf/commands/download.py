"""Download training data, benchmarks and released weights, with resume and checksums.

Examples:
  pams-download --what div2k --scale 4 --out data       DIV2K, several gigabytes
  pams-download --what benchmarks --out data            Set5, Set14, B100, Urban100
  pams-download --what teachers --scale 4 --out data    the released EDSR-baseline, 6 MB

Files written:
  data/DIV2K_train_HR/0001.png, data/DIV2K_train_LR_bicubic/X4/0001x4.png, the same with valid
  data/benchmark/Set5/HR/baby.png, data/benchmark/Set5/LR_bicubic/X4/babyx4.png, and other sets
  data/edsr_baseline_x4-6b446fab.pt

Train with --data DIR and evaluate with --benchmark_dir DIR/benchmark. DIV2K is for academic
research. Unpacking an archive needs its size once more in disk space. Interrupted downloads are
resumed. Every file is checked against its known or given SHA-256 checksum; benchmark.tar is
checked against the one of its first download, which is kept in benchmark.tar.sha256.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pams_tf.commands import cli
from pams_tf.errors import InputError

FLAGS = cli.command_flags()
flags.DEFINE_list(
    "what",
    None,
    "div2k, benchmarks, teachers or all; separate several with commas.",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "scale", 4, "Scale of DIV2K's LR images and the teacher: 2, 3 or 4.", flag_values=FLAGS
)
flags.DEFINE_string("out", "data", "Folder for the files.", flag_values=FLAGS)
flags.DEFINE_string(
    "base_url", None, "URL of a mirror: files are fetched from BASE_URL/NAME.", flag_values=FLAGS
)
flags.DEFINE_list(
    "sha256",
    [],
    "Checksums that replace the known ones, such as benchmark.tar=SUM; separate several with "
    "commas.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean("keep_archives", False, "Keep archives after unpacking.", flag_values=FLAGS)

SETS = ("div2k", "benchmarks", "teachers")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_download, FLAGS, __doc__, argv)


def _download() -> list[dict[str, Any]]:
    from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    from pams_tf.data.archives import extract
    from pams_tf.data.download import fetch
    from pams_tf.files import check_writable, write_text
    from pams_tf.reporting.progress import progress_bar

    files = _files()
    out = check_writable(FLAGS.out)
    results = []
    with progress_bar(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()) as progress:
        for file in files:
            marker = out / f".{file.name}.unpacked"
            if file.unpack and (there := _made(marker)):
                print(f"{file.name}: already there")
                results.append({"url": file.url, "files": [str(path) for path in there]})
                continue
            task = progress.add_task(file.name, total=None)

            def report(done: int, total: int | None, task: Any = task) -> None:
                progress.update(task, completed=done, total=total)

            url = f"{FLAGS.base_url.rstrip('/')}/{file.name}" if FLAGS.base_url else file.url
            path = fetch(url, out / file.name, sha256=file.sha256, report=report)
            made = [path]
            if file.unpack:
                made = extract(path, out)
                write_text(marker, "".join(f"{item.name}\n" for item in made))
                if not FLAGS.keep_archives:
                    path.unlink()
            print(f"{file.name}: {', '.join(map(str, made))}")
            results.append({"url": url, "files": [str(Path(item)) for item in made]})
    return results


def _made(marker: Path) -> list[Path]:
    """The files that the archive of this marker was unpacked to; empty if any was removed."""
    names = marker.read_text(encoding="utf-8").splitlines() if marker.is_file() else []
    made = [marker.parent / name for name in names]
    return made if all(path.exists() for path in made) else []


def _files() -> list[Any]:
    from pams_tf.data import remote_files

    chosen = SETS if "all" in FLAGS.what else tuple(FLAGS.what)
    unknown = [name for name in chosen if name not in SETS]
    if unknown or not chosen:
        raise InputError(
            f"--what={','.join(FLAGS.what)} is not possible; choose from {', '.join(SETS)} or all"
        )
    if FLAGS.scale not in remote_files.TEACHERS:
        raise InputError(f"--scale={FLAGS.scale} is not possible; choose 2, 3 or 4")
    files = {
        "div2k": remote_files.div2k_files(FLAGS.scale),
        "benchmarks": [remote_files.BENCHMARKS],
        "teachers": [remote_files.TEACHERS[FLAGS.scale]],
    }
    wanted = [file for name in SETS if name in chosen for file in files[name]]
    sums = dict(item.partition("=")[::2] for item in FLAGS.sha256)
    for name, value in sums.items():
        if name not in {file.name for file in wanted} or not re.fullmatch("[0-9a-f]{64}", value):
            raise InputError(
                f"--sha256={name}={value} is not possible; give NAME=SUM with 64 digits 0-9a-f and "
                f"a NAME from {', '.join(file.name for file in wanted)}"
            )
    return [dataclasses.replace(file, sha256=sums.get(file.name, file.sha256)) for file in wanted]
