"""Downloads against a server on this machine that can drop, refuse and lie."""

import errno
import hashlib
import io
import json
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from pams_tf import InputError
from pams_tf.commands import download as command
from pams_tf.data import datasets, download, remote_files
from pams_tf.data.download import fetch

CONTENT = np.random.default_rng(0).bytes(300_000)
SUM = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `files`; `drops` times it hangs up after half; `ranges` False ignores Range."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"file.bin": CONTENT}
        self.drops, self.ranges, self.requests = 0, True, []
        self.shift = 0  # answers with a range that begins so much before the one asked for
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.requests.append(asked)
        content = server.files.get(self.path.lstrip("/"))
        if content is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            shift = server.shift
            self.send_header("Content-Range", f"bytes {start - shift}-{len(content) - 1}/*")
        self.end_headers()
        body = content[start:]
        if server.drops:
            server.drops -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_fetch_checks_and_reports(server, tmp_path):
    seen = []
    path = fetch(
        f"{server.url}/file.bin", tmp_path / "new" / "file.bin", sha256=SUM,
        report=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert path.read_bytes() == CONTENT
    assert names(tmp_path / "new") == ["file.bin"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    for _ in range(2):
        fetch(f"{server.url}/file.bin", tmp_path / "file.bin", sha256=SUM)
    assert len(server.requests) == 1
    (tmp_path / "file.bin").write_bytes(b"damaged")
    fetch(f"{server.url}/file.bin", tmp_path / "file.bin", sha256=SUM)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_dropped_connection_is_resumed(server, tmp_path):
    server.drops = 2
    fetch(f"{server.url}/file.bin", tmp_path / "file.bin", sha256=SUM, pause=0)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.requests == [None, "bytes=150000-", "bytes=225000-"]


def test_an_interrupted_download_is_resumed_by_the_next_call(server, tmp_path):
    server.drops = 99
    with pytest.raises(InputError, match="connection ended.*start the same command again"):
        fetch(f"{server.url}/file.bin", tmp_path / "file.bin", sha256=SUM, pause=0)
    assert names(tmp_path) == ["file.bin.part"]
    server.drops = 0
    fetch(f"{server.url}/file.bin", tmp_path / "file.bin", sha256=SUM)
    assert server.requests[-1].startswith("bytes=2")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.ranges = False
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    fetch(f"{server.url}/file.bin", tmp_path / "file.bin", sha256=SUM)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more than the file"])
def test_a_whole_or_overlong_part(server, tmp_path, part):
    (tmp_path / "file.bin.part").write_bytes(part)
    fetch(f"{server.url}/file.bin", tmp_path / "file.bin", sha256=SUM, pause=0)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert names(tmp_path) == ["file.bin"]


def test_a_server_that_sends_another_range(server, tmp_path):
    server.shift = 10
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    fetch(f"{server.url}/file.bin", tmp_path / "file.bin", sha256=SUM, pause=0)
    assert server.requests == ["bytes=1000-", None]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_full_disk(server, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download.os, "replace", full)
    with pytest.raises(InputError, match=r"file\.bin: No space left on device; free some space"):
        fetch(f"{server.url}/file.bin", tmp_path / "file.bin", sha256=SUM)
    assert not (tmp_path / "file.bin").exists()


def test_a_damaged_file_goes_with_a_wrong_download(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(b"damaged")
    with pytest.raises(InputError, match="wrong checksum"):
        fetch(f"{server.url}/file.bin", tmp_path / "file.bin", sha256="0" * 64)
    assert names(tmp_path) == []


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(InputError, match=f"wrong checksum, SHA-256 {SUM} instead of 0000"):
        fetch(f"{server.url}/file.bin", tmp_path / "file.bin", sha256="0" * 64)
    assert names(tmp_path) == []


def test_without_a_published_checksum_the_first_one_counts(server, tmp_path):
    fetch(f"{server.url}/file.bin", tmp_path / "file.bin")
    assert (tmp_path / "file.bin.sha256").read_text() == f"{SUM}  file.bin\n"
    (tmp_path / "file.bin").unlink()
    server.files["file.bin"] = b"changed"
    with pytest.raises(InputError, match="wrong checksum"):
        fetch(f"{server.url}/file.bin", tmp_path / "file.bin")
    assert names(tmp_path) == ["file.bin.sha256"]


def test_missing_on_the_server(server, tmp_path):
    with pytest.raises(InputError, match=r"answers 404 .*--base_url"):
        fetch(f"{server.url}/none.bin", tmp_path / "none.bin")
    assert len(server.requests) == 1


def test_nobody_answers(tmp_path):
    with pytest.raises(InputError, match="refused"):
        fetch("http://127.0.0.1:9/file.bin", tmp_path / "file.bin", pause=0)


def test_unwritable_folder(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="choose a folder you may write to"):
        fetch(f"{server.url}/file.bin", tmp_path / "file" / "file.bin")


def test_the_command(server, tmp_path, capsys, archive):
    server.files["benchmark.tar"] = archive("tar", {"benchmark/Set1/HR/a.png": b"picture"})
    out, report = tmp_path / "data", tmp_path / "report.json"
    arguments = ["download.py", "--what=benchmarks", f"--out={out}", f"--base_url={server.url}"]
    assert command.main([*arguments, f"--json={report}"]) == 0
    assert (out / "benchmark/Set1/HR/a.png").read_bytes() == b"picture"
    assert json.loads(report.read_text())[0]["files"] == [str(out / "benchmark")]
    assert command.main(arguments) == 0
    assert "already there" in capsys.readouterr().out
    assert len(server.requests) == 1
    shutil.rmtree(out / "benchmark")
    assert command.main(arguments) == 0
    assert (out / "benchmark/Set1/HR/a.png").read_bytes() == b"picture"


def test_the_command_makes_the_layout_of_div2k(server, tmp_path, picture, archive):
    sums = []
    for split in ("train", "valid"):
        for folder, name, size in [
            ("HR", "0001.png", 24),
            ("LR_bicubic/X2", "0001x2.png", 12),
            ("LR_bicubic/X3", "0001x3.png", 8),
        ]:
            buffer = io.BytesIO()
            Image.fromarray(picture(size, size)).save(buffer, "PNG")
            entry = f"DIV2K_{split}_{folder}/{name}"
            zipped = f"DIV2K_{split}_{folder.replace('/', '_')}.zip"
            server.files[zipped] = archive("zip", {entry: buffer.getvalue()})
            sums.append(f"{zipped}={hashlib.sha256(server.files[zipped]).hexdigest()}")
    out = tmp_path / "data"
    for scale in (2, 3):
        wanted = ",".join(item for item in sums if "HR" in item or f"X{scale}" in item)
        arguments = ["--what=div2k", f"--out={out}", f"--base_url={server.url}"]
        arguments += [f"--scale={scale}", f"--sha256={wanted}"]
        assert command.main(["download.py", *arguments]) == 0
    assert len(server.requests) == 6  # HR once only
    for scale in (2, 3):
        for split in ("train", "valid"):
            pairs = datasets.div2k(out, scale, split)
            assert pairs.lr == (
                out / f"DIV2K_{split}_LR_bicubic" / f"X{scale}" / f"0001x{scale}.png",
            )
            assert pairs.load(0)[1].shape == (24, 24, 3)
    assert not list(out.glob("*.zip"))


def test_div2k_is_checked_without_being_asked(server, tmp_path, capsys, archive):
    server.files["DIV2K_train_HR.zip"] = archive("zip", {"DIV2K_train_HR/0001.png": b"?"})
    arguments = ["--what=div2k", f"--out={tmp_path / 'data'}", f"--base_url={server.url}"]
    assert command.main(["download.py", *arguments]) == 1
    assert "instead of 9d0b9c46" in capsys.readouterr().err
    assert names(tmp_path / "data") == []


def test_the_command_checks_the_teachers(server, tmp_path, capsys):
    server.files[remote_files.TEACHERS[4].name] = b"not the released weights"
    arguments = ["--what=teachers", f"--out={tmp_path / 'data'}", f"--base_url={server.url}"]
    assert command.main(["download.py", *arguments]) == 1
    assert "wrong checksum" in capsys.readouterr().err
    assert names(tmp_path / "data") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--what=imagenet"], "choose from div2k, benchmarks, teachers or all"),
        (["--what=div2k", "--scale=8"], "choose 2, 3 or 4"),
        (["--what=teachers", "--base_url=mirror"], "begins with http://"),
        (["--what=benchmarks", "--sha256=benchmark.tar=12"], "64 digits"),
        (["--what=benchmarks", f"--sha256=other.zip={SUM}"], "a NAME from benchmark.tar"),
    ],
)
def test_the_command_refuses(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.main(["download.py", *arguments]) == 1
    assert message in capsys.readouterr().err
