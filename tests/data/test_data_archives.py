"""Archives as they are downloaded, whole, broken and hostile."""

import io
import shutil
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from pams_tf import InputError
from pams_tf.data.archives import extract

CONTENT = np.random.default_rng(0).bytes(300_000)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_zip_of_unix_keeps_its_folders(tmp_path):
    folder = zipfile.ZipInfo("set/empty/")
    folder.external_attr = (stat.S_IFDIR | 0o755) << 16
    regular = zipfile.ZipInfo("set/1.png")
    regular.external_attr = (stat.S_IFREG | 0o644) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(folder, b"")
        file.writestr(regular, b"1")
    extract(tmp_path / "a.zip", tmp_path / "out")
    assert names(tmp_path / "out" / "set") == ["1.png", "empty"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_tar_with_anything_but_files_is_refused(tmp_path, kind):
    (tmp_path / "secret.txt").write_text("secret")
    entry = tarfile.TarInfo("set/link")
    entry.type, entry.linkname = kind, "../../secret.txt"
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        file.addfile(entry)
    with pytest.raises(InputError, match="'set/link' is neither a file nor a folder"):
        extract(tmp_path / "a.tar", tmp_path / "out")
    assert names(tmp_path / "out") == []


def test_a_zip_with_a_link_is_refused(tmp_path):
    entry = zipfile.ZipInfo("set/link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(entry, "../../secret.txt")
    with pytest.raises(InputError, match="'set/link' is neither a file nor a folder"):
        extract(tmp_path / "a.zip", tmp_path / "out")
    assert names(tmp_path / "out") == []


def test_links_that_lead_out_step_by_step_are_refused(tmp_path):
    """Python's filter="data" lets a path pass whose links are longer than PATH_MAX together."""
    outside = tmp_path / "outside"
    outside.mkdir()
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        folder, path = "d" * 200, ""
        for letter in "abcdefghijklmnop":
            entry = tarfile.TarInfo(path + folder)
            entry.type = tarfile.DIRTYPE
            file.addfile(entry)
            link = tarfile.TarInfo(path + letter)
            link.type, link.linkname = tarfile.SYMTYPE, folder
            file.addfile(link)
            path += letter + "/"
        link = tarfile.TarInfo("escape")
        link.type, link.linkname = tarfile.SYMTYPE, f"{path}{'../' * 20}{outside}"
        file.addfile(link)
        file.addfile(tarfile.TarInfo("escape/file.txt"), io.BytesIO(b""))
    with pytest.raises(InputError, match="'a' is neither a file nor a folder"):
        extract(tmp_path / "a.tar", tmp_path / "out")
    assert names(outside) == names(tmp_path / "out") == []


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_refused_before_anything_is_written(tmp_path, kind):
    """200 MB of zeros in a few hundred kilobytes."""
    path, size = tmp_path / f"bomb.{kind}", 200_000_000
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("set/zeros.png", bytes(size))
    else:
        entry = tarfile.TarInfo("set/zeros.png")
        entry.size = size
        with tarfile.open(path, "w:gz") as file:
            file.addfile(entry, io.BytesIO(bytes(size)))
    with pytest.raises(InputError, match="unpacks to more than 67,108,864 bytes"):
        extract(path, tmp_path / "out")
    assert names(tmp_path / "out") == []


def test_more_than_the_disk_has_free_is_refused(tmp_path, archive, monkeypatch):
    (tmp_path / "a.tar").write_bytes(archive("tar", {"set/1.bin": CONTENT}))
    usage = shutil.disk_usage(tmp_path)._replace(free=len(CONTENT) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match="300,000 bytes are needed and 299,999 are free"):
        extract(tmp_path / "a.tar", tmp_path / "out")
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_empty_archive_is_no_success(tmp_path, archive, kind):
    (tmp_path / f"a.{kind}").write_bytes(archive(kind, {}))
    with pytest.raises(InputError, match="it is empty"):
        extract(tmp_path / f"a.{kind}", tmp_path / "out")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["set/1.png", "set/./1.png"], "'set/./1.png' is in it twice"),
        (["set/1", "set/1/2.png"], "'set/1' is both a file and a folder"),
    ],
)
def test_names_that_collide_are_refused(tmp_path, entries, message):
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        for name in entries:
            file.addfile(tarfile.TarInfo(name), io.BytesIO(b""))
    with pytest.raises(InputError, match=message):
        extract(tmp_path / "a.tar", tmp_path / "out")
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize(("offset", "value"), [(6, b"\x01\x00"), (8, b"\x63\x00")])
def test_an_encrypted_zip_or_one_of_an_unknown_method(tmp_path, archive, offset, value):
    """The flags and the method, in the file's own header and two bytes later in the directory."""
    content = bytearray(archive("zip", {"set/1.bin": CONTENT}))
    directory = content.index(b"PK\x01\x02")
    content[offset : offset + 2] = value
    content[directory + offset + 2 : directory + offset + 4] = value
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zip: corrupt or unsafe"):
        extract(tmp_path / "a.zip", tmp_path / "out")
    assert names(tmp_path / "out") == []


def test_an_absolute_name_is_refused(tmp_path):
    name = str(tmp_path / "escaped.txt")
    info = tarfile.TarInfo(name)
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        file.addfile(info, io.BytesIO(b""))
    with pytest.raises(InputError, match="leads out of the folder"):
        extract(tmp_path / "a.tar", tmp_path / "out")
    assert not (tmp_path / "escaped.txt").exists()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_extract(tmp_path, kind, archive):
    (tmp_path / f"a.{kind}").write_bytes(archive(kind, {"set/HR/1.png": b"1", "set/2.txt": b"2"}))
    (tmp_path / "out" / "set").mkdir(parents=True)
    (tmp_path / "out" / "set" / "mine.txt").write_text("stays")
    assert extract(tmp_path / f"a.{kind}", tmp_path / "out") == [tmp_path / "out" / "set"]
    assert (tmp_path / "out/set/HR/1.png").read_bytes() == b"1"
    assert (tmp_path / "out/set/mine.txt").read_text() == "stays"
    assert names(tmp_path / "out") == ["set"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_out_are_refused(tmp_path, kind, archive):
    (tmp_path / f"a.{kind}").write_bytes(archive(kind, {"../../escaped.txt": b"!"}))
    with pytest.raises(InputError, match="leads out of the folder"):
        extract(tmp_path / f"a.{kind}", tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("escaped.txt"))
    assert names(tmp_path / "deep" / "out") == []


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_truncated_archive(tmp_path, kind, archive):
    whole = archive(kind, {"set/1.bin": CONTENT})
    (tmp_path / f"a.{kind}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=rf"a\.{kind}: corrupt"):
        extract(tmp_path / f"a.{kind}", tmp_path / "out")
    assert names(tmp_path / "out") == []
