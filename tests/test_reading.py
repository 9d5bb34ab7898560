"""Files that would take all memory, never end, or nest deeper than Python can follow."""

import os
import zipfile

import numpy as np
import pytest

from pams_tf import InputError, QuantizationRecipe
from pams_tf.data.images import read_image
from pams_tf.data.opening import picture_size
from pams_tf.litert import metadata
from pams_tf.litert.file_info import FileInfo
from pams_tf.litert.flatbuffer import read_file
from pams_tf.models.layouts.files import read_weights
from pams_tf.reading import check_growth, parse_json, read_json, read_npz
from pams_tf.reporting.device_results import read_results
from pams_tf.runs import RunFolder
from pams_tf.training.checkpoints import saved_state

DEEP = ["[" * 100_000, "[" * 900 + "]" * 900, '{"recipe": ' * 5000 + "1" + "}" * 5000]


def refused(call, *words):
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    for word in words:
        assert word in message


@pytest.mark.parametrize("text", DEEP)
def test_every_reader_of_json_survives_depth(tmp_path, text):
    path = tmp_path / "settings.json"
    path.write_text(text)
    state = tmp_path / "newest.npz"
    np.savez(state, state=np.array(text))
    info = FileInfo((), (), metadata={metadata.NAME: text.encode()})
    for call, name in (
        (lambda: QuantizationRecipe.load(path), str(path)),
        (lambda: RunFolder(tmp_path).read_settings(), str(path)),
        (lambda: read_results(path), str(path)),
        (lambda: saved_state(state), str(state)),
        (lambda: metadata.fields(info), "metadata"),
    ):
        refused(call, name, "nested too deeply")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[1e5", b"1" * 10_000])
def test_what_is_no_json(content):
    refused(lambda: parse_json(content, "x.json"), "x.json: not readable JSON")


def test_a_long_value_is_cut_in_messages(tmp_path):
    (tmp_path / "settings.json").write_text("[" + "1, " * 100_000 + "1]")
    refused(RunFolder(tmp_path).read_settings, "holds [1, 1, ", "...")


def test_what_never_ends_is_not_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        for read in (read_file, read_json, read_image):
            refused(lambda path=path, read=read: read(path), str(path), "a pipe or device")
        refused(lambda path=path: picture_size(path), "no such picture file")


def test_a_sparse_file_is_refused_by_its_size(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(5 << 30)
    for read in (read_file, read_json, read_image):
        refused(lambda read=read: read(path), "5,368,709,120 bytes, more than")


def bomb(path, size, method=zipfile.ZIP_DEFLATED):
    """A .npz with an array of `size` zeros, which is almost nothing when compressed."""
    with (
        zipfile.ZipFile(path, "w", method) as file,
        file.open("head.0.weight.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(
            member, {"descr": "|u1", "fortran_order": False, "shape": (size,)}
        )
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))


def test_an_npz_that_grows_is_refused_unread(tmp_path):
    bomb(tmp_path / "a.npz", 100 << 20)
    assert (tmp_path / "a.npz").stat().st_size < 1 << 20
    refused(lambda: read_npz(tmp_path / "a.npz"), "unpacks to 104,857,728 bytes, more than 8 times")
    refused(lambda: saved_state(tmp_path / "a.npz"), "unpacks to")


def test_an_npz_whose_header_lies(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file, file.open("a.npy", "w") as member:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
        np.lib.format.write_array_header_1_0(member, header)
    refused(lambda: read_npz(tmp_path / "a.npz"), "not a readable .npz file")
    refused(lambda: saved_state(tmp_path / "a.npz"), "not a readable checkpoint")


def test_an_npz_with_objects_or_without_a_zip(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}], object))
    (tmp_path / "b.npz").write_bytes(b"no archive")
    for name in ("a.npz", "b.npz"):
        refused(lambda name=name: read_npz(tmp_path / name), f"{name}: not a readable .npz file")
    refused(lambda: read_npz(tmp_path / "c.npz"), "c.npz: no such file")


def test_a_member_twice(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("a.npy", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.npy", b"2")
    refused(lambda: check_growth(tmp_path / "a.npz"), "holds a member twice")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full(4, np.nan, np.float32), "not all weights are finite numbers: head.0.bias"),
        (np.full(4, np.inf, np.float16), "not all weights are finite numbers: head.0.bias"),
        (np.full(4, 1e300), "not all weights are finite numbers: head.0.bias"),
        (np.full(4, 1j), "head.0.bias holds complex numbers"),
        (np.full(4, np.datetime64("2020-11-23")), "head.0.bias holds no numbers"),
        (np.full(4, "1.0"), "head.0.bias holds no numbers"),
    ],
)
def test_weights_that_are_no_numbers(tmp_path, values, words):
    np.savez(tmp_path / "a.npz", **{"head.0.weight": np.ones((4, 3, 3, 3)), "head.0.bias": values})
    refused(lambda: read_weights(tmp_path / "a.npz"), "a.npz: ", words)
