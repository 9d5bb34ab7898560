"""Means over images, checks of what an upscaler returns, saved pictures, tables."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from pams_tf.errors import InputError
from pams_tf.evaluation.benchmark import evaluate
from pams_tf.reporting.tables import print_table


class _Pairs:
    """Grey images at x2, each to be compared with a brighter one: every figure is known."""

    name, scale, lr_found = "Greys", 2, 2

    def __init__(self, *errors: int) -> None:
        self.errors = errors
        self.names = [f"grey_{error}" for error in errors]

    def __len__(self) -> int:
        return len(self.errors)

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        low = np.full((8, 9, 3), 100, np.uint8)
        return low, np.full((16, 18, 3), 100 + self.errors[index], np.uint8)


def _nearest(image: np.ndarray) -> np.ndarray:
    return image.repeat(2, axis=0).repeat(2, axis=1)


def _psnr_of_grey_step(step: int) -> float:
    return 20 * math.log10(255 * 255 / (219 * step))


def test_figures_are_means_over_images_not_over_pixels():
    result = evaluate(_nearest, _Pairs(1, 10))
    each = [_psnr_of_grey_step(1), _psnr_of_grey_step(10)]
    pooled = 10 * math.log10(255**2 / ((1 + 100) / 2 * (219 / 255) ** 2))
    assert [image["name"] for image in result.per_image] == ["grey_1", "grey_10"]
    assert [image["psnr"] for image in result.per_image] == pytest.approx(each)
    assert result.psnr == pytest.approx(sum(each) / 2)
    assert abs(result.psnr - pooled) > 5
    assert result.ssim == pytest.approx(sum(image["ssim"] for image in result.per_image) / 2)
    assert result.per_image[1]["ssim"] < result.per_image[0]["ssim"] < 1
    assert (result.benchmark, result.scale, result.images) == ("Greys", 2, 2)


def test_json_holds_every_field_and_no_infinity():
    written = evaluate(_nearest, _Pairs(0, 3)).as_json()
    assert {"benchmark", "scale", "images", "psnr", "ssim", "per_image", "lr_found"} == set(written)
    again = json.loads(json.dumps(written, allow_nan=False))
    assert again == written
    assert again["psnr"] is None
    assert again["per_image"][0] == {"name": "grey_0", "psnr": None, "ssim": 1.0}
    assert again["per_image"][1]["psnr"] == pytest.approx(_psnr_of_grey_step(3))


def test_results_are_saved_as_png(tmp_path):
    evaluate(_nearest, _Pairs(1, 2), save_images=tmp_path / "out", progress=True)
    files = sorted((tmp_path / "out").rglob("*.*"))
    folder = tmp_path / "out" / "Greys"
    assert files == [folder / "grey_1.png", folder / "grey_2.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(files[0])), np.full((16, 18, 3), 100))


@pytest.mark.parametrize(
    ("upscaler", "message"),
    [
        (lambda image: image, r"Greys/grey_1.*uint8 \(8, 9, 3\).*uint8 \(16, 18, 3\)"),
        (lambda image: _nearest(image).astype(np.float32), r"Greys/grey_1.*float32"),
        (lambda image: _nearest(image)[..., :1], r"Greys/grey_1.*\(16, 18, 1\)"),
    ],
)
def test_a_wrong_result_is_named(upscaler, message):
    with pytest.raises(InputError, match=message):
        evaluate(upscaler, _Pairs(1))


def test_an_image_that_does_not_fit_its_pair_is_named():
    pairs = _Pairs(1)
    pairs.load = lambda index: (np.zeros((8, 9, 3), np.uint8), np.zeros((17, 18, 3), np.uint8))
    with pytest.raises(InputError, match=r"Greys/grey_1.*\(16, 18, 3\) and \(17, 18, 3\)"):
        evaluate(_nearest, pairs)


def test_an_empty_benchmark_is_named():
    with pytest.raises(InputError, match="'Greys' holds no images"):
        evaluate(_nearest, _Pairs())


def test_a_table_shows_every_cell_as_it_is(capsys):
    print_table("net[int8].tflite, x4", ("benchmark", "PSNR"), [("Set5", 31.05), ("[B100]", "27")])
    shown = capsys.readouterr().out
    for text in ("net[int8].tflite, x4", "benchmark", "PSNR", "Set5", "31.05", "[B100]", "27"):
        assert text in shown
    with pytest.raises(InputError, match="2 cells"):
        print_table("", ("a", "b"), [("only one",)])
