"""Whatever a user names, as an upscaler; and what is refused."""

import numpy as np
import pytest
from affine import affine_x2

from pams_tf import InputError, Upscaler, models, zoo
from pams_tf.data import datasets
from pams_tf.data.resize import upscale
from pams_tf.evaluation.upscaler import keras_upscale, tflite_upscale
from pams_tf.export.converter import convert
from pams_tf.litert import tiling


def rounded(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@pytest.fixture
def tile_of_16(monkeypatch):
    """Models that take any size get tiles of 16 LR pixels and the halo around them."""
    monkeypatch.setattr(tiling, "INNER", 16)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_in_tiles_is_bicubic(tile_of_16, photo, scale):
    image = photo(60, 50)
    upscaler = Upscaler("bicubic", scale=scale)
    assert (upscaler.name, upscaler.scale) == ("bicubic", scale)
    np.testing.assert_array_equal(upscaler(image), upscale(image, scale))
    assert Upscaler("bicubic").scale == 4


@pytest.mark.parametrize("whole", [False, True])
def test_a_tflite_file_by_its_path_and_by_its_content(tflite, photo, tmp_path, whole):
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite["float32"])
    image = photo(4, 4)
    for model in (path, str(path), tflite["float32"]):
        upscaler = Upscaler(model, scale=2, num_threads=1, whole=whole)
        np.testing.assert_array_equal(upscaler(image), rounded(affine_x2(image)))
        assert upscaler.tile == (6, 8)
    with pytest.raises(InputError, match=r"net\.tflite upscales x2, not x4; leave the scale out"):
        Upscaler(path, scale=4)


@pytest.mark.parametrize("name", ["student.keras", "model.keras"])
def test_a_keras_network_in_tiles(tile_of_16, student, photo, tmp_path, name):
    network = student()
    models.save(network, tmp_path / "run_1" / name)
    image = photo(50, 40)
    whole = keras_upscale(network)(image).astype(int)
    for model in (tmp_path / "run_1", tmp_path / "run_1" / name, network):
        upscaler = Upscaler(model)
        assert (upscaler.scale, upscaler.halo, upscaler.tile) == (2, 8, (32, 32))
        # Float sums may be in another order for another size.
        difference = np.abs(upscaler(image) - whole)
        assert difference.max() <= 3
        assert (difference > 0).mean() < 0.001
    assert Upscaler(tmp_path / "run_1").name == "run_1"
    assert Upscaler(tmp_path / "run_1", halo=3).halo == 3


def test_the_student_is_preferred_to_the_float_model(student, tmp_path):
    models.save(student(), tmp_path / "student.keras")
    (tmp_path / "model.keras").write_bytes(b"must not be read")
    assert Upscaler(tmp_path).scale == 2


def test_names_in_the_zoo():
    image = datasets.sample(2, "valid").load(0)[0][:50, :60]
    result = Upscaler("edsr_mobile_x2_8bit")(image)
    file = zoo.integer_file("edsr_mobile_x2", 8)
    np.testing.assert_array_equal(result, tflite_upscale(file)(image))
    teacher = Upscaler("edsr_mobile_x2")(image).astype(int)
    assert 0 < np.abs(result - teacher).mean() < 2


def test_a_file_for_an_npu_goes_through_in_tiles_where_it_must(student, photo):
    network = student(scope="all")
    content = convert(network, (30, 34), target="npu")
    upscaler = Upscaler(content, whole=True)
    image = photo(47, 61)
    cpu = Upscaler(convert(network, (30, 34)), whole=True)
    np.testing.assert_array_equal(upscaler(image), cpu(image))


def test_what_is_refused(tmp_path):
    foreign = tmp_path / "foreign.keras"
    foreign.write_bytes(b"no zip")
    other = tmp_path / "weights.npz"
    other.write_bytes(b"")
    for model, message in (
        ("EDSR", "'EDSR' does not exist; give a .keras or .tflite file.*edsr_mobile_x2"),
        (other, "is of another kind; give a .keras or .tflite file"),
        (tmp_path, "not a run folder"),
        (tmp_path / "gone.keras", r"gone\.keras"),
        (foreign, r"foreign\.keras"),
    ):
        with pytest.raises(InputError, match=message):
            Upscaler(model)
