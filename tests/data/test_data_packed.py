"""The cache: used again when it may be, made anew when it must be, never half there."""

import errno
import os
import time

import numpy as np
import pytest

from pams_tf.data import packed as module
from pams_tf.data.datasets import folder
from pams_tf.data.images import write_image
from pams_tf.data.packed import pack
from pams_tf.errors import InputError


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for name, height, width in [("a", 24, 41), ("b", 33, 20), ("c", 28, 28)]:
        picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        write_image(tmp_path / "images" / f"{name}.png", picture)
    return tmp_path / "images"


@pytest.fixture
def decoded(monkeypatch):
    """The indices that were decoded, in order."""
    calls = []
    load = module.ImagePairs.load

    def counting(self, index):
        calls.append(index)
        return load(self, index)

    monkeypatch.setattr(module.ImagePairs, "load", counting)
    return calls


def test_holds_what_the_pairs_hold(images, tmp_path):
    pairs = folder(images, 4)
    packed = pack(pairs, tmp_path / "cache")
    assert (len(packed), packed.scale) == (3, 4)
    for index in range(3):
        lr, hr = pairs.load(index)
        np.testing.assert_array_equal(packed.lr(index), lr)
        np.testing.assert_array_equal(packed.hr(index), hr)
        assert packed.shapes[index] == lr.shape[:2]
        with pytest.raises(ValueError, match="read-only"):
            packed.hr(index)[0] = 0


def test_is_found_again(images, tmp_path, decoded):
    first = pack(folder(images, 2), tmp_path / "cache")
    assert decoded == [0, 1, 2]
    second = pack(folder(images, 2), tmp_path / "cache")
    assert decoded == [0, 1, 2]
    for index in range(3):
        np.testing.assert_array_equal(first.hr(index), second.hr(index))


def test_another_scale_is_another_cache(images, tmp_path, decoded):
    pack(folder(images, 2), tmp_path / "cache")
    packed = pack(folder(images, 3), tmp_path / "cache")
    assert len(decoded) == 6
    assert packed.shapes[0] == (8, 13)


def test_a_changed_file_is_packed_anew(images, tmp_path, decoded):
    pack(folder(images, 2), tmp_path / "cache")
    changed = np.full((24, 41, 3), 7, np.uint8)
    write_image(images / "a.png", changed)
    packed = pack(folder(images, 2), tmp_path / "cache")
    assert len(decoded) == 6
    np.testing.assert_array_equal(packed.hr(0), changed[:, :40])


def test_the_same_size_at_another_time_is_packed_anew(images, tmp_path, decoded):
    pack(folder(images, 2), tmp_path / "cache")
    os.utime(images / "b.png", ns=(1, 1))
    pack(folder(images, 2), tmp_path / "cache")
    assert len(decoded) == 6


def test_environment_says_where(images, tmp_path, monkeypatch):
    monkeypatch.setenv("PAMS_TF_CACHE", str(tmp_path / "there"))
    pack(folder(images, 2))
    assert len(list((tmp_path / "there").glob("images_x2_*/index.json"))) == 1


def test_an_interrupted_pack_leaves_nothing(images, tmp_path, monkeypatch):
    load = module.ImagePairs.load

    def interrupted(self, index):
        if index == 2:
            raise KeyboardInterrupt
        return load(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(module.ImagePairs, "load", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pack(folder(images, 2), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    assert len(pack(folder(images, 2), tmp_path / "cache")) == 3


def test_what_a_killed_pack_left_is_removed_after_a_day(images, tmp_path):
    pack(folder(images, 2), tmp_path / "cache")
    (target,) = (tmp_path / "cache").iterdir()
    young, old = (target.with_name(f".{target.name}.{end}") for end in ("young", "old"))
    target.rename(young)
    old.mkdir()
    (old / "hr.bin").touch()
    os.utime(old, (time.time() - 90_000,) * 2)
    pack(folder(images, 2), tmp_path / "cache")
    assert target.is_dir()
    assert young.is_dir()
    assert not old.exists()


@pytest.mark.parametrize("name", ["index.json", "lr.bin", "hr.bin"])
@pytest.mark.parametrize("gone", [True, False])
def test_a_damaged_cache_is_made_anew(images, tmp_path, decoded, name, gone):
    good = pack(folder(images, 2), tmp_path / "cache")
    expected = [good.hr(index).copy() for index in range(3)]
    (file,) = (tmp_path / "cache").glob(f"*/{name}")
    if gone:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-10])
    packed = pack(folder(images, 2), tmp_path / "cache")
    assert len(decoded) == 6
    for index in range(3):
        np.testing.assert_array_equal(packed.hr(index), expected[index])


def test_a_bad_image_is_named_and_leaves_nothing(images, tmp_path):
    (images / "b.png").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"b\.png: not a picture"):
        pack(folder(images, 2), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_image_that_went_away(images, tmp_path):
    pairs = folder(images, 2)
    (images / "b.png").unlink()
    with pytest.raises(InputError, match=r"b\.png"):
        pack(pairs, tmp_path / "cache")


def test_a_cache_that_cannot_be_made(images, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="PAMS_TF_CACHE"):
        pack(folder(images, 2), tmp_path / "file" / "cache")


def test_a_full_disk(images, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.json, "dumps", full)  # what is written last
    with pytest.raises(InputError, match="No space left on device.*PAMS_TF_CACHE"):
        pack(folder(images, 2), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_another_process_that_was_first_wins(images, tmp_path, monkeypatch):
    replace = os.replace

    def late(source, target):
        monkeypatch.setattr(module.os, "replace", replace)
        pack(folder(images, 2), tmp_path / "cache")
        replace(source, target)

    monkeypatch.setattr(module.os, "replace", late)
    assert len(pack(folder(images, 2), tmp_path / "cache")) == 3
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_check_patch(images, tmp_path):
    packed = pack(folder(images, 2), tmp_path / "cache")
    packed.check_patch(10)  # b.png is 33x20: LR 16x10
    with pytest.raises(InputError, match=r"b\.png: 32x20 pixels.* 22") as caught:
        packed.check_patch(11)
    assert "at most 10" in str(caught.value)
