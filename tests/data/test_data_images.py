"""Every kind of picture that can be used, and every kind that is refused by name."""

import re

import numpy as np
import pytest
from PIL import Image

from pams_tf.data.images import list_images, read_image, write_image
from pams_tf.errors import InputError


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def refused(path, words):
    with pytest.raises(InputError, match=re.escape(str(path))) as caught:
        read_image(path)
    message = str(caught.value)
    assert words in message
    assert "\n" not in message


def png_16_bit_colour(path):
    """Pillow cannot write one: a PNG of 4x4 by hand."""
    import struct
    import zlib

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + bytes(range(24)) for _ in range(4))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".PNG"])
def test_round_trip(tmp_path, rgb, suffix):
    path = tmp_path / f"a{suffix}"
    write_image(path, rgb)
    result = read_image(path)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, rgb)


def test_jpeg_is_close(tmp_path):
    ramp = np.add.outer(np.arange(64), np.arange(80))[..., None] + np.array([0, 20, 90])
    write_image(tmp_path / "a.jpg", ramp.astype(np.uint8))
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - ramp).max() <= 4


def test_grey_becomes_rgb(tmp_path, rgb):
    write_image(tmp_path / "grey.png", rgb[..., 0])
    result = read_image(tmp_path / "grey.png")
    np.testing.assert_array_equal(result, np.repeat(rgb[..., :1], 3, axis=2))


def test_one_bit_becomes_black_and_white(tmp_path, rgb):
    bits = rgb[..., 0] > 127
    Image.fromarray(bits).save(tmp_path / "bits.png")
    result = read_image(tmp_path / "bits.png")
    np.testing.assert_array_equal(result[..., 1], np.where(bits, 255, 0))


def test_palette_becomes_rgb(tmp_path, rgb):
    few = rgb // 128 * 255  # 8 colours
    Image.fromarray(few).quantize(8).save(tmp_path / "palette.png")
    assert Image.open(tmp_path / "palette.png").mode == "P"
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), few)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_opaque_alpha_is_dropped(tmp_path, rgb, mode):
    Image.fromarray(rgb).convert(mode).save(tmp_path / "a.png")
    expected = rgb if mode == "RGBA" else np.asarray(Image.fromarray(rgb).convert("L"))[..., None]
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.png"), np.broadcast_to(expected, rgb.shape)
    )


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_alpha(tmp_path, rgb, mode):
    picture = Image.fromarray(rgb).convert(mode)
    alpha = Image.new("L", picture.size, 255)
    alpha.putpixel((3, 4), 254)
    picture.putalpha(alpha)
    picture.save(tmp_path / "a.png")
    refused(tmp_path / "a.png", "transparent")


def test_transparent_palette(tmp_path, rgb):
    palette = Image.fromarray(rgb // 128 * 255).quantize(8)
    palette.save(tmp_path / "a.png", transparency=0)
    refused(tmp_path / "a.png", "transparent")


def test_missing(tmp_path):
    refused(tmp_path / "none.png", "No such file")


def test_a_folder(tmp_path):
    refused(tmp_path, "a folder; give a file")


def test_empty(tmp_path):
    (tmp_path / "a.png").touch()
    refused(tmp_path / "a.png", "empty")


def test_foreign(tmp_path):
    (tmp_path / "a.png").write_text("this is no picture")
    refused(tmp_path / "a.png", "PNG, JPEG, WebP")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif"])
def test_truncated(tmp_path, rgb, suffix):
    path = tmp_path / f"a{suffix}"
    write_image(path, rgb)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_image(path)


def test_damaged_inside(tmp_path, rgb):
    write_image(tmp_path / "a.png", rgb)
    content = bytearray((tmp_path / "a.png").read_bytes())
    start = content.index(b"IDAT") + 20
    content[start : start + 40] = bytes(40)
    (tmp_path / "a.png").write_bytes(content)
    refused(tmp_path / "a.png", "corrupt")


def test_cmyk(tmp_path, rgb):
    Image.fromarray(rgb).convert("CMYK").save(tmp_path / "a.jpg")
    refused(tmp_path / "a.jpg", "CMYK")


@pytest.mark.parametrize(
    ("dtype", "name"), [(np.uint16, "a.png"), (np.int32, "a.tif"), (np.float32, "a.tif")]
)
def test_more_than_8_bits(tmp_path, rgb, dtype, name):
    Image.fromarray(rgb[..., 0].astype(dtype)).save(tmp_path / name)
    refused(tmp_path / name, "8-bit")


def test_16_bit_colour(tmp_path):
    png_16_bit_colour(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "RGB"  # Pillow says nothing of the loss
    refused(tmp_path / "a.png", "16 bits")


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.tif", "a.webp"])
def test_several_frames(tmp_path, rgb, name):
    first, second = Image.fromarray(rgb), Image.fromarray(255 - rgb)
    first.save(tmp_path / name, save_all=True, append_images=[second])
    refused(tmp_path / name, "animation or several pages")


def test_a_phone_photograph_with_a_second_picture(tmp_path):
    first, second = Image.new("RGB", (16, 8), "red"), Image.new("RGB", (16, 8), "blue")
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    assert Image.open(tmp_path / "a.jpg").format == "MPO"
    result = read_image(tmp_path / "a.jpg")
    assert result.shape == (8, 16, 3)
    assert result[..., 0].min() > 240 > 20 > result[..., 2].max()


def test_exif_orientation_is_honoured(tmp_path):
    picture = Image.new("RGB", (32, 16), "white")
    picture.paste("black", (0, 0, 16, 16))  # left half black
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95)
    result = read_image(tmp_path / "a.jpg")
    assert result.shape == (32, 16, 3)
    assert result[:14].max() < 40
    assert result[18:].min() > 215


@pytest.mark.parametrize(
    ("name", "image", "words"),
    [
        ("a.xyz", np.zeros((4, 4, 3), np.uint8), "end it in"),
        ("a", np.zeros((4, 4, 3), np.uint8), "end it in"),
        ("a.png", np.zeros((4, 4, 3), np.float32), "float32"),
        ("a.png", np.zeros((4, 4, 4), np.uint8), "(4, 4, 4)"),
        ("a.png", np.zeros(4, np.uint8), "(4,)"),
    ],
)
def test_what_cannot_be_written(tmp_path, name, image, words):
    with pytest.raises(InputError, match=re.escape(words)):
        write_image(tmp_path / name, image)
    assert list(tmp_path.iterdir()) == []


def test_list_images(tmp_path):
    names = ["b.png", "a.JPG", "c.jpeg", "d.webp", "e.bmp", "f.tif", "g.tiff"]
    for name in [*names, ".hidden.png", "._b.png", "notes.txt"]:
        (tmp_path / name).touch()
    (tmp_path / "deeper").mkdir()
    assert [path.name for path in list_images(tmp_path)] == sorted(names)


def test_list_images_of_nothing(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        list_images(tmp_path / "none")
    with pytest.raises(InputError, match="no images in it"):
        list_images(tmp_path)
    (tmp_path / "file.png").touch()
    with pytest.raises(InputError, match="a file"):
        list_images(tmp_path / "file.png")
