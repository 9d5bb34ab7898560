"""Atomic files: whole or not at all, whatever goes wrong."""

import errno
import os
import subprocess
import sys

import pytest

from pams_tf import InputError
from pams_tf.files import (
    atomic_write,
    check_writable,
    remove_leftovers,
    write_text,
    write_together,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_writes_and_makes_folders(tmp_path):
    write_text(tmp_path / "a" / "b" / "text.txt", "grün")
    assert (tmp_path / "a" / "b" / "text.txt").read_text(encoding="utf-8") == "grün"
    assert names(tmp_path / "a" / "b") == ["text.txt"]


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupted():
        with atomic_write(path) as file:
            file.write(b"half of the n")
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"cannot write .*file: No space left.*free some space"):
        write_text(path, "new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("file/x.json", "a part of it is a file; choose another folder"),
        ("folder", "it is a folder; give the name of a file"),
        ("n" * 300, "give it a shorter name"),
    ],
)
def test_the_advice_fits_the_reason(tmp_path, path, advice):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=f"cannot write .*; {advice}"):
        write_text(tmp_path / path, "new")
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize("fails_at", [1, 2])
def test_files_that_belong_together_appear_together(tmp_path, monkeypatch, fails_at):
    (tmp_path / "a.tflite").write_bytes(b"old")
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    contents = {tmp_path / "a.tflite": b"model", tmp_path / "a.json": b"card"}
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="No space left"):
            write_together(contents)
    assert names(tmp_path) == ["a.tflite"]
    assert (tmp_path / "a.tflite").read_bytes() == b"old"
    write_together(contents)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == contents


def test_half_a_character_is_written_as_it_is_called(tmp_path):
    write_text(tmp_path / "a", "device \ud83d")
    assert (tmp_path / "a").read_text() == "device \\ud83d"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write .*a part of it is a file"):
        check_writable(tmp_path / "file" / "folder")
    with pytest.raises(InputError, match="cannot write .*a part of it is a file"):
        check_writable(tmp_path / "file")


def test_check_writable_leaves_nothing(tmp_path):
    assert check_writable(tmp_path / "new") == tmp_path / "new"
    assert names(tmp_path / "new") == []


def test_check_writable_of_several_processes_at_once(tmp_path):
    code = (
        "import sys; from pams_tf.files import check_writable as c; [c('new') for _ in range(500)]"
    )
    commands = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) for _ in range(4)]
    assert [command.wait() for command in commands] == [0] * 4


def test_a_name_as_long_as_names_can_be(tmp_path):
    name = "n" * 255
    write_text(tmp_path / name, "x")
    assert names(tmp_path) == [name]
    with pytest.raises(InputError, match="too long; give it a shorter name"):
        write_text(tmp_path / (name + "n"), "x")


def test_permissions_are_those_of_any_file(tmp_path):
    write_text(tmp_path / "atomic", "x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_a_killed_process_left_is_removed(tmp_path):
    writer = atomic_write(tmp_path / "file")
    writer.__enter__().write(b"half")  # and never leaves the block
    (tmp_path / "other").write_text("stays")
    assert len(names(tmp_path)) == 2
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["other"]
    remove_leftovers(tmp_path / "none")
