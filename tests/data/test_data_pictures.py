"""What users' pictures hold beside colours: transparency, metadata, harmless damage; formats."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, features

from pams_tf.data.formats import READABLE, WRITABLE
from pams_tf.data.images import list_images, read_image
from pams_tf.data.opening import MOST_TEXT
from pams_tf.data.pictures import Picture, read_picture, write_picture
from pams_tf.data.transparency import fill_hidden
from pams_tf.errors import InputError
from pams_tf.evaluation.upscaler import Upscaler, upscale_picture

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><a tiff:Orientation=\"6\" b='c'/></x:xmpmeta>"
UPRIGHT_XMP = XMP.replace(b' tiff:Orientation="6"', b"")


@pytest.fixture
def rgb():
    coarse = np.random.default_rng(5).integers(0, 256, (5, 7, 3), np.uint8)
    return coarse.repeat(4, 0).repeat(4, 1)


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def with_chunks(path, *chunks):
    """Put chunks behind the header of a PNG."""
    content = path.read_bytes()
    path.write_bytes(content[:33] + b"".join(chunk(*each) for each in chunks) + content[33:])


# --- Transparency --------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 0, 255)])
@pytest.mark.parametrize("soft", [False, True])
def test_a_hidden_colour_leaves_no_rim(colour, soft):
    y, x = np.mgrid[:40, :40] - 19.5
    distance = 14 - np.hypot(y, x)
    alpha = (255 * np.clip(distance + 0.5, 0, 1) if soft else 255 * (distance > 0)).astype(np.uint8)
    rgb = np.where(alpha[..., None] > 0, 255, np.array(colour)).astype(np.uint8)
    for model in ("bicubic", "edsr_mobile_x2_8bit"):
        result = upscale_picture(Picture(rgb, alpha), Upscaler(model))
        cover = result.alpha[..., None] / 255
        over_white = result.rgb * cover + 255 * (1 - cover)
        assert over_white.min() >= 252  # 161 without the filling: a black that nobody sees


def test_visible_colours_stay_and_hidden_ones_come_from_the_nearest():
    rgb = np.zeros((9, 13, 3), np.uint8)
    alpha = np.zeros((9, 13), np.uint8)
    rgb[:, :3], alpha[:, :3] = (200, 10, 0), 255
    rgb[:, 10:], alpha[:, 10:] = (0, 10, 250), 1
    filled = fill_hidden(rgb, alpha)
    np.testing.assert_array_equal(filled[alpha > 0], rgb[alpha > 0])
    assert (filled[:, 3] == (200, 10, 0)).all()
    assert (filled[..., 1] == 10).all()  # an average of equal values
    for none in (np.zeros_like(alpha), np.full_like(alpha, 255)):
        np.testing.assert_array_equal(fill_hidden(rgb, none), rgb)


def test_a_transparent_grey_of_16_bits(tmp_path):
    values = (np.arange(48).reshape(6, 8) * 1300).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png", transparency=2600)
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.alpha, np.where(values == 2600, 0, 255))
    assert picture.grey
    write_picture(tmp_path / "b.png", picture)
    assert Image.open(tmp_path / "b.png").mode == "LA"


def test_a_transparent_colour_of_16_bits(tmp_path):
    rows = b"".join(
        b"\0" + struct.pack(">12H", *range(row * 12000, row * 12000 + 12)) for row in range(4)
    )
    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    key = struct.pack(">3H", 12000, 12001, 12002)
    body = chunk(b"tRNS", key) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body)
    alpha = read_picture(tmp_path / "a.png").alpha
    assert (alpha[1] == 0).any()
    assert (alpha[[0, 2, 3]] == 255).all()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_with_alpha_keeps_its_grey_profile_and_colour_gets_none(tmp_path, rgb, suffix):
    profile = bytes(16) + b"GRAYXYZ " + bytes(104)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(rgb).convert("LA").save(path, icc_profile=profile)
    picture = read_picture(path)
    assert write_picture(tmp_path / f"b{suffix}", picture) == []
    with Image.open(tmp_path / f"b{suffix}") as again:
        assert (again.mode, again.info["icc_profile"]) == ("LA", profile)
    Image.fromarray(rgb).save(path, icc_profile=profile)
    (note,) = write_picture(tmp_path / f"c{suffix}", read_picture(path))
    assert "colour profile" in note
    assert "icc_profile" not in Image.open(tmp_path / f"c{suffix}").info


# --- Sound pictures with something odd beside the pixels -----------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
@pytest.mark.parametrize(
    "block", [b"MM\0*", b"Exif\0\0MM\0*", b"Lorem ipsum", b"II*\0\xff\xff\xff\xff"]
)
def test_exif_that_is_no_exif(tmp_path, rgb, suffix, block):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(rgb).save(path, exif=block, **({"lossless": True} if suffix == ".webp" else {}))
    picture = read_picture(path)
    assert picture.rgb.shape == rgb.shape
    assert all("\n" not in note for note in picture.notes)
    assert read_image(path).shape == rgb.shape
    write_picture(tmp_path / f"b{suffix}", picture)


def test_an_orientation_that_cannot_be_read_is_upright_with_a_note(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.png", exif=b"Exif\0\0Lorem ipsum dolor")
    (note,) = read_picture(tmp_path / "a.png").notes
    assert note.startswith("its EXIF data cannot be read")
    assert note.endswith("it is taken as upright")


def test_ycbcr_and_a_bmp_of_32_bits(tmp_path, rgb):
    Image.fromarray(rgb).convert("YCbCr").save(tmp_path / "a.tif")
    for read in (read_image, lambda path: read_picture(path).rgb):
        assert np.abs(read(tmp_path / "a.tif").astype(int) - rgb).max() <= 3
    # Bit fields of 8 bits each, the highest for alpha: what many programs write.
    height, width = rgb.shape[:2]
    pixels = np.dstack([rgb[::-1, :, ::-1], np.full((height, width), 255, np.uint8)]).tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack(
        "<IiiHHIIiiII", 124, width, height, 1, 32, 3, len(pixels), 2835, 2835, 0, 0
    )
    header += masks + bytes(124 - len(header) - len(masks))
    start = 14 + len(header)
    (tmp_path / "a.bmp").write_bytes(
        b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + pixels
    )
    picture = read_picture(tmp_path / "a.bmp")
    assert picture.alpha is not None
    assert not picture.transparent
    write_picture(tmp_path / "b.bmp", picture)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.bmp").convert("RGB")), rgb)


def test_what_libtiff_prints_is_a_note(tmp_path, rgb, capfd):
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "TIFF", compression="jpeg")
    content = buffer.getvalue()
    scan = content.index(b"\xff\xda")
    # A byte of 255 among the pixels, which a 0 has to follow.
    content = content[:scan] + content[scan:].replace(b"\xff\x00", b"\xff\x10", 1)
    (tmp_path / "a.tif").write_bytes(content)
    (note,) = read_picture(tmp_path / "a.tif").notes
    assert note == "libtiff warns: JPEGLib: Unsupported marker type 0x10."
    assert capfd.readouterr().err == ""


def test_a_large_picture_brings_no_warning(tmp_path, rgb, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    Image.fromarray(rgb).save(tmp_path / "a.png")  # 560 pixels: Pillow calls this a DOS attack
    assert read_picture(tmp_path / "a.png").notes == ()
    assert not recwarn.list
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match="too large"):
        read_picture(tmp_path / "a.png")


# --- Metadata ------------------------------------------------------------------------------------


def test_a_png_keeps_text_resolution_gamma_and_xmp(tmp_path, rgb):
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a tree\nSteps: 40")
    info.add_text("large", "x" * (2 << 20), zip=True)
    info.add_itxt("Title", "\u6f22", lang="ja")
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add(b"gAMA", struct.pack(">I", 100_000))
    info.add(b"cHRM", struct.pack(">8I", *range(31270, 31278)))
    path = tmp_path / "a.png"
    Image.fromarray(rgb).save(path, pnginfo=info, dpi=(300, 150))
    picture = read_picture(path)
    assert picture.notes == ()
    assert write_picture(tmp_path / "b.png", picture) == []
    assert read_picture(tmp_path / "b.png").metadata == picture.metadata
    with Image.open(tmp_path / "b.png") as again:
        assert again.info["gamma"] == 1
        assert again.info["chromaticity"][7] == pytest.approx(0.31277)
        assert again.info["dpi"] == pytest.approx((300, 150), abs=0.1)
        assert again.text["parameters"] == "a tree\nSteps: 40"
        assert again.text["Title"] == "\u6f22"
        assert len(again.text["large"]) == 2 << 20
        assert again.info["xmp"] == UPRIGHT_XMP


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_text_that_is_larger_than_any_text_is_left_out(tmp_path, rgb, kind):
    path = tmp_path / "a.png"
    Image.fromarray(rgb).save(path)
    packed = zlib.compress(bytes(MOST_TEXT + 1))
    before = b"key\0\0" if kind == b"zTXt" else b"key\0\1\0\0\0"
    with_chunks(
        path, (kind, before + packed), (b"tEXt", b"good\0text"), (kind, before + b"damaged")
    )
    picture = read_picture(path)
    assert picture.notes == ("its text is too large or damaged and is left out",)
    assert picture.metadata.texts == {"good": "text"}
    np.testing.assert_array_equal(picture.rgb, rgb)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".png", ".avif"])
def test_xmp_and_resolution_in_other_formats(tmp_path, rgb, suffix):
    if suffix not in WRITABLE:
        pytest.skip("this Pillow has no AVIF")
    path, again = tmp_path / "a.png", tmp_path / f"b{suffix}"
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    Image.fromarray(rgb).save(path, pnginfo=info, dpi=(300, 300))
    notes = write_picture(again, read_picture(path))
    assert read_picture(again).metadata.xmp == UPRIGHT_XMP
    if suffix in (".webp", ".avif"):
        assert notes == [f"{suffix[1:].upper()} cannot hold its resolution"]
    else:
        assert notes == []
        assert Image.open(again).info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_what_a_jpeg_cannot_hold_is_said(tmp_path, rgb):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "x" * 70_000)
    info.add_text("Title", "t")
    Image.fromarray(rgb).save(tmp_path / "a.png", pnginfo=info)
    notes = write_picture(tmp_path / "b.jpg", read_picture(tmp_path / "a.png"))
    assert notes == ["JPEG cannot hold its text and XMP"]
    assert read_picture(tmp_path / "b.jpg").rgb.shape == rgb.shape


# --- Formats -------------------------------------------------------------------------------------


def test_what_pillow_reads_is_read(tmp_path, rgb):
    suffixes = [".jfif", ".jpe", ".gif", ".ppm", ".tga", ".qoi", ".avif", ".jp2"]
    usable = [suffix for suffix in suffixes if suffix in READABLE]
    assert {".jfif", ".jpe", ".gif", ".ppm", ".tga"} <= set(usable)
    assert (".avif" in usable) == features.check("avif")
    assert (".jp2" in usable) == features.check("jpg_2000")
    flat = np.broadcast_to(np.uint8([200, 90, 30]), rgb.shape)
    for suffix in usable:
        if Image.registered_extensions()[suffix] in Image.SAVE:
            Image.fromarray(flat).save(tmp_path / f"a{suffix}")
            result = read_picture(tmp_path / f"a{suffix}").rgb
            assert np.abs(result.astype(int) - flat).max() <= 4, suffix
    assert len(list_images(tmp_path)) >= 5


def test_a_picture_named_otherwise(tmp_path, rgb):
    """Content decides how a file is read, whatever its name says."""
    Image.fromarray(rgb).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(read_picture(Path(tmp_path / "a.jpg")).rgb, rgb)
