"""Archives as they are downloaded, whole, broken and hostile."""

import io
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
