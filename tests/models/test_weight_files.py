"""Files of weights: every kind and wrapping, none of which is ever executed; damaged ones."""

import pickle
import sys
import types

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from torch_files import global_opcode, stacked_global, write_legacy, write_pth

from pams_tf import InputError
from pams_tf.models.layouts.files import read_weights


@pytest.fixture
def weights():
    rng = np.random.default_rng(4)
    return {
        "body.0.weight": rng.normal(size=(12, 3, 3, 3)).astype(np.float32),
        "body.0.bias": rng.normal(size=12).astype(np.float32),
    }


def assert_same(read, weights):
    assert set(read) == set(weights)
    for name, array in weights.items():
        assert read[name].dtype == np.float32
        np.testing.assert_array_equal(read[name], array)


def save(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        safetensors.numpy.save_file(arrays, path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "params_ema.", "state_dict.model.module."]
)
def test_flat_files_and_their_prefixes(weights, tmp_path, suffix, prefix):
    path = tmp_path / f"w{suffix}"
    save(path, {f"{prefix}{name}": array for name, array in weights.items()})
    assert_same(read_weights(path), weights)


def test_a_prefix_that_not_all_names_share_is_a_part_of_the_name(weights, tmp_path):
    weights = {"model.first.weight": weights["body.0.weight"], "bias": weights["body.0.bias"]}
    save(tmp_path / "w.npz", weights)
    assert_same(read_weights(tmp_path / "w.npz"), weights)


def test_other_precisions_become_float32(weights, tmp_path):
    halves = {name: array.astype(ml_dtypes.bfloat16) for name, array in weights.items()}
    save(tmp_path / "w.safetensors", halves)
    assert_same(
        read_weights(tmp_path / "w.safetensors"),
        {name: array.astype(np.float32) for name, array in halves.items()},
    )
    save(tmp_path / "w.npz", {"a": weights["body.0.bias"].astype(np.float64)})
    assert_same(read_weights(tmp_path / "w.npz"), {"a": weights["body.0.bias"]})


def test_pytorchs_batch_counter_is_no_weight(weights, tmp_path):
    save(tmp_path / "w.npz", weights | {"body.1.num_batches_tracked": np.int64(7)})
    assert_same(read_weights(tmp_path / "w.npz"), weights)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_finite_numbers(weights, tmp_path, bad):
    weights["body.0.weight"][3, 2, 1, 0] = bad
    save(tmp_path / "w.npz", weights)
    with pytest.raises(InputError, match=r"not all weights are finite numbers: body\.0\.weight$"):
        read_weights(tmp_path / "w.npz")


def test_doubles_beyond_float32_are_not_finite(tmp_path):
    save(tmp_path / "w.npz", {"a": np.array([1e300])})
    with pytest.raises(InputError, match="finite"):
        read_weights(tmp_path / "w.npz")


@pytest.mark.parametrize(
    ("array", "message"),
    [(np.zeros(3, np.complex64), "complex"), (np.array(["1", "x"]), "no numbers")],
)
def test_arrays_that_are_no_weights(tmp_path, array, message):
    save(tmp_path / "w.npz", {"a": array})
    with pytest.raises(InputError, match=rf"w\.npz: a holds {message}"):
        read_weights(tmp_path / "w.npz")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth", ".pt"])
@pytest.mark.parametrize(
    "content", [b"", b"\x1b[31mhello", b"PK\x03\x04" + bytes(40), b"\xff" * 99]
)
def test_damaged_files(tmp_path, suffix, content):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"w\{suffix}: (not a|holds no)") as caught:
        read_weights(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_files_that_are_cut_short(weights, tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    save(path, weights)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=rf"w\{suffix}: not a readable {suffix} file"):
        read_weights(path)


def test_files_of_other_kinds(tmp_path):
    with pytest.raises(InputError, match=r"none\.pt: no such file"):
        read_weights(tmp_path / "none.pt")
    (tmp_path / "w.onnx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"w\.onnx: weights are read from files that end in \.pth"):
        read_weights(tmp_path / "w.onnx")
    save(tmp_path / "w.npz", {})
    with pytest.raises(InputError, match="holds no state_dict"):
        read_weights(tmp_path / "w.npz")


CALLS = b"cos\nsystem\n(X\x09\x00\x00\x00touch ranR0"


@pytest.mark.parametrize(
    ("opcodes", "names"),
    [
        (global_opcode("torch.nn.modules.conv", "Conv2d"), r"a whole pickled model \(torch\.nn\."),
        (
            global_opcode("archs", "EDSR") + global_opcode("torch.nn.modules.conv", "Conv2d"),
            r"a whole pickled model \(archs\.EDSR, torch",
        ),
        (stacked_global("torch.nn.modules.conv", "Conv2d"), "a whole pickled model"),
        (global_opcode("argparse", "Namespace"), r"Python objects \(argparse\.Namespace\)"),
        (CALLS, r"Python objects \(os\.system\)"),
        (global_opcode("torch.serialization", "load"), r"Python objects \(torch\.serialization\."),
        (global_opcode("a\x1b[31m", "b"), r"\(a\?\[31m\.b\)"),
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_other_objects_than_tensors_are_named_and_not_opened(
    weights, tmp_path, monkeypatch, opcodes, names, legacy
):
    """Before PyTorch is so much as looked for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "model.pth"
    if legacy:
        write_legacy(path, b"\x80\x04" + opcodes + b"}.")
    else:
        write_pth(path, weights, prefix=opcodes, protocol=4)
    with pytest.raises(InputError, match=names) as caught:
        read_weights(path)
    message = str(caught.value)
    assert "save the weights alone: torch.save(model.state_dict(), 'weights.pth')" in message
    assert message.isprintable()
    assert [file.name for file in tmp_path.iterdir()] == ["model.pth"]


def test_a_torchscript_program_is_refused(weights, tmp_path):
    import zipfile

    path = tmp_path / "w.pt"
    write_pth(path, weights)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/constants.pkl", pickle.dumps(()))
    with pytest.raises(InputError, match=r"w\.pt: is a TorchScript program; save its weights"):
        read_weights(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_missing_pytorch_says_what_to_install(weights, tmp_path, monkeypatch, legacy):
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "w.pt"
    if legacy:
        write_legacy(path, b"\x80\x02ccollections\nOrderedDict\n)R.")
    else:
        write_pth(path, weights)
    with pytest.raises(InputError, match=r"pip install 'pams_tf\[torch-weights\]', or save"):
        read_weights(path)


class Tensor:
    """A stand-in for a parameter of bfloat16, which must be detached and widened for NumPy."""

    shape = (3,)

    def __init__(self, array, *done):
        self._array, self._done = array, done

    def detach(self):
        return Tensor(self._array, "detached")

    def is_floating_point(self):
        return True

    def float(self):
        return Tensor(self._array, *self._done, "wide")

    def numpy(self):
        assert self._done == ("detached", "wide")
        return self._array


@pytest.fixture
def torch_that_holds(weights, tmp_path, monkeypatch):
    """torch_that_holds(object): reads a file with a stand-in for PyTorch that finds this in it."""

    def read(held):
        write_pth(tmp_path / "w.pth", weights)

        def load(path, **options):
            assert options == {"map_location": "cpu", "weights_only": True}
            if isinstance(held, Exception):
                raise held
            return held

        monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(load=load))
        return read_weights(tmp_path / "w.pth")

    return read


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"params": state, "epoch": 3},
        lambda state: {"params": {"a": Tensor(np.zeros(3))}, "params_ema": state},
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}, "optimizer": {}},
        lambda state: {"model": {"state_dict": {f"model.{k}": v for k, v in state.items()}}},
    ],
)
def test_wrappings(torch_that_holds, wrap):
    array = np.arange(3, dtype=np.float32)
    read = torch_that_holds(wrap({"a": Tensor(array), "b": Tensor(array)}))
    assert_same(read, {"a": array, "b": array})


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ([1, 2], r"w\.pth: holds no state_dict \(a mapping from names to tensors\)$"),
        ({}, "holds no state_dict"),
        ({"epoch\x1b[31m": 3}, r"these are no tensors: epoch\?\[31m$"),
        (RuntimeError("\x1b[31mbad\x1b[0m"), r"PyTorch cannot read .* \(RuntimeError\)$"),
    ],
)
def test_pytorch_files_without_weights(torch_that_holds, held, message):
    with pytest.raises(InputError, match=message) as caught:
        torch_that_holds(held)
    assert str(caught.value).isprintable()


def test_real_pytorch(weights, tmp_path):
    """What `write_pth` writes, and what PyTorch itself writes in both of its formats."""
    torch = pytest.importorskip("torch", reason="PyTorch, the optional extra, is not installed")
    path = tmp_path / "w.pth"
    write_pth(path, weights)
    assert_same(read_weights(path), weights)
    state = {name: torch.nn.Parameter(torch.tensor(array)) for name, array in weights.items()}
    for zipped in (True, False):
        torch.save({"params": state}, path, _use_new_zipfile_serialization=zipped)
        assert_same(read_weights(path), weights)
    torch.save({name: tensor.bfloat16() for name, tensor in state.items()}, path)
    read = read_weights(path)
    assert all(np.abs(read[name] - array).max() < 0.01 for name, array in weights.items())
    for zipped in (True, False):
        torch.save(torch.nn.Conv2d(3, 3, 3), path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(InputError, match="holds a whole pickled model"):
            read_weights(path)
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"w\.pth: not a PyTorch checkpoint"):
        read_weights(path)
