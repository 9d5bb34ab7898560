"""`.keras` files that describe or declare far more than they hold."""

import io
import json
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest

from pams_tf import InputError, models

SIZE = {"blocks": 1, "features": 4}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "network.keras"
    models.save(models.build("edsr_mobile", 2, **SIZE), path)
    return path


@pytest.fixture
def path(saved, tmp_path):
    return shutil.copy(saved, tmp_path / "network.keras")


def rewrite(path, member, change):
    """Replace the content of one member by `change(content)`."""
    with zipfile.ZipFile(path) as file:
        contents = {name: file.read(name) for name in file.namelist()}
    contents[member] = change(contents[member])
    with zipfile.ZipFile(path, "w") as file:
        for name, content in contents.items():
            file.writestr(name, content)


def described(path, **changes):
    def change(content):
        config = json.loads(content)
        config["config"] |= changes
        return json.dumps(config)

    rewrite(path, "config.json", change)


def weights(path, change):
    def changed(content):
        buffer = io.BytesIO(content)
        with h5py.File(buffer, "r+") as file:
            change(file)
        return buffer.getvalue()

    rewrite(path, "model.weights.h5", changed)


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        models.load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for word in words:
        assert word in message


def test_what_is_saved_is_loaded(path):
    network = models.load(path)
    assert network.overrides == SIZE
    assert all(np.isfinite(np.asarray(variable.value)).all() for variable in network.variables)


def test_a_network_larger_than_its_weights(path):
    described(path, overrides={"blocks": 1, "features": 1024})
    refused(path, "describes a network with", "bytes of weights and holds")


@pytest.mark.parametrize("overrides", [{"blocks": 100_000}, {"features": 10**9}, {"blocks": 2.5}])
def test_sizes_that_no_network_has(path, overrides):
    described(path, overrides=overrides)
    refused(path, "is not possible; give a whole number from 1 to 1024")


def test_a_dense_layer_of_gigabytes(tmp_path):
    """Its configuration alone: nobody could save it."""
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)], name="dense")
    network.save(tmp_path / "dense.keras")

    def enlarge(content):
        return content.replace(b'"units": 1', b'"units": 4000000000')

    rewrite(tmp_path / "dense.keras", "config.json", enlarge)
    refused(tmp_path / "dense.keras", "describes a network with 32,000,000,000 bytes of weights")


def first_dataset(file):
    names = []
    file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
    return names[0]


def test_an_array_that_is_declared_only(path):
    def inflate(file):
        name = first_dataset(file)
        del file[name]
        file.create_dataset(name, (1 << 32,), np.float32, chunks=(1 << 20,), compression="gzip")

    weights(path, inflate)
    refused(path, "of 17,179,869,184 bytes is not in the file")


@pytest.mark.parametrize("link", [h5py.SoftLink("/a"), h5py.ExternalLink("/etc/passwd", "/a")])
def test_links_out_of_the_file(path, link):
    def replace(file):
        name = first_dataset(file)
        del file[name]
        file[name] = link

    weights(path, replace)
    refused(path, "is a link; save the network again")


def test_a_member_that_grows(path):
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("assets/zeros", bytes(100 << 20))
    refused(path, "unpacks to", "more than 8 times its own size")


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_a_part_that_is_missing(path, tmp_path, member):
    with zipfile.ZipFile(path) as file, zipfile.ZipFile(tmp_path / "part.keras", "w") as part:
        for name in set(file.namelist()) - {member}:
            part.writestr(name, file.read(name))
    refused(tmp_path / "part.keras", f"has no {member}")


def test_a_description_nested_deeply(path):
    rewrite(path, "config.json", lambda content: "[" * 100_000)
    refused(path, "config.json: not readable JSON (nested too deeply)")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_weights_that_are_not_finite_are_named(path, value):
    def break_one(file):
        name = first_dataset(file)
        shape = file[name].shape
        del file[name]
        file[name] = np.full(shape, value, np.float64)

    weights(path, break_one)
    refused(path, "holds values that are not finite")
