"""Pictures of every mode and format, odd metadata, odd names; most of them damaged."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from damage import damaged
from PIL import Image, PngImagePlugin

from inputs import command

SHARE = 1200
MOST_LINES = 2  # which picture, and how many
FORMATS = {
    "PNG": "png", "JPEG": "jpg", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif", "GIF": "gif",
    "PPM": "ppm", "TGA": "tga", "JPEG2000": "jp2", "AVIF": "avif", "QOI": "qoi",
}  # fmt: skip
MODES = ("RGB", "RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK", "F", "I", "YCbCr")
NAMES = (
    "a b", "é漢", "-dash", "--flag=1", "[x]*?", "$\\frac{$", "x" * 240, "new\nline", "\x1b[31mred",
    os.fsdecode(b"gr\xfcn"), "no_suffix.", "PNG",
)  # fmt: skip


def prepare(folder: Path) -> None:
    """Nothing: every picture is made."""


def make(rng: np.random.Generator, originals: Path) -> Callable[[], int]:
    kind = str(rng.choice(list(FORMATS)))
    content = _encoded(rng, kind)
    if rng.random() < 0.65:
        content = damaged(rng, content)
    name = str(rng.choice(NAMES)) if rng.random() < 0.15 else "picture"
    suffix = FORMATS[kind] if rng.random() < 0.93 else str(rng.choice(list(FORMATS.values())))
    Path("HR").mkdir()
    Path("HR", f"{name}.{suffix}").write_bytes(content)
    choice = rng.random()
    if choice < 0.1:
        return command(
            "evaluate", "--model=bicubic", "--scale=2", "--benchmark_dir=.", "--benchmark=.",
            "--save_images=out",
        )  # fmt: skip
    model = "edsr_mobile_x2_8bit" if choice < 0.4 else "bicubic"
    arguments = [f"--model={model}", "--scale=2", "--out=out", f"--input=HR/{name}.{suffix}"]
    if rng.random() < 0.2:
        arguments.append("--format=png")
    return command("upscale", *arguments)


def check(folder: Path, status: int) -> None:
    """Each result can be read from end to end."""
    results = [path for path in (folder / "out").rglob("*") if path.is_file()]
    assert status or len(results) == 1, results
    for path in results:
        with Image.open(path) as picture:
            picture.load()


def _encoded(rng: np.random.Generator, kind: str) -> bytes:
    width, height = (int(2 ** rng.uniform(0, 6)) for _ in range(2))
    rgb = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
    mode = str(rng.choice(MODES))
    if mode == "I;16":
        picture = Image.fromarray(rng.integers(0, 65536, (height, width), np.uint16))
    elif mode in ("LA", "RGBA"):
        picture = rgb.convert(mode)
        alpha = rng.integers(0, 2, (height, width), np.uint8) * np.uint8(rng.integers(256))
        picture.putalpha(Image.fromarray(alpha))
    else:
        picture = rgb.convert(mode)
    extra = _metadata(rng, kind)
    for attempt in (picture, rgb):
        for more in (extra, {}):
            buffer = io.BytesIO()
            try:
                attempt.copy().save(buffer, format=kind, **more)
            except Exception:  # not every format holds every mode, nor all that is beside it
                continue
            return buffer.getvalue()
    rgb.save(buffer := io.BytesIO(), format="PNG")  # Pillow was built without this format
    return buffer.getvalue()


def _metadata(rng: np.random.Generator, kind: str) -> dict[str, object]:
    def noise() -> bytes:
        return rng.integers(0, 256, int(2 ** rng.uniform(0, 14)), np.uint8).tobytes()

    exif = Image.Exif()
    exif[0x0112] = int(rng.integers(0, 10))  # orientation, of which 1 to 8 exist
    exif[0x010E] = "a description"
    choices: dict[str, object] = {
        "exif": exif.tobytes() if rng.random() < 0.5 else b"Exif\0\0" + noise(),
        "icc_profile": noise(),
        "dpi": tuple(float(rng.choice([0, -1, 72, 1e9])) for _ in range(2)),
        "xmp": noise(),
        "comment": noise(),
        "transparency": int(rng.integers(256)),
        "save_all": True,
        "append_images": [Image.new("RGB", (3, 3))],
        "compression": str(rng.choice(["tiff_lzw", "jpeg", "packbits", "group4"])),
    }
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Title", "x" * int(2 ** rng.uniform(0, 20)), zip=bool(rng.integers(2)))
        text.add(b"gAMA", noise()[:4])
        choices["pnginfo"] = text
        choices["bits"] = int(rng.choice([1, 2, 4, 8]))
    chosen = rng.choice(list(choices), int(rng.integers(0, 4)), replace=False)
    return {str(name): choices[str(name)] for name in chosen}
