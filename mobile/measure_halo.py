"""How far tiles differ from the whole picture, for each width of the halo that they share.

Example: python mobile/measure_halo.py --models mobile/build/models

The photographs that no network here was trained on are enlarged in one piece and in the tiles of
the app (mobile/web/src/tiling.ts, whose plan this repeats), with the same kernels. EDSR-baseline
looks 37 pixels far: with a halo of 40 not one code differs, at the price of more tiles.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from pams_tf.data import datasets
from pams_tf.data.images import read_image
from pams_tf.errors import InputError
from pams_tf.evaluation.interpreter import ImageInterpreter
from pams_tf.evaluation.upscalers import tflite_upscaler

HALOS = (0, 4, 8, 12, 16, 20, 24, 32, 40)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="mobile/build/models", help="what build_models.py made")
    parser.add_argument("--size", type=int, default=288, help="side of the pictures, pixels")
    arguments = parser.parse_args()
    files = sorted(Path(arguments.models).glob("*bit.tflite"))
    if not files:
        print(f"measure_halo.py: {arguments.models} holds no integer files", file=sys.stderr)
        return 1
    pictures = [
        read_image(path)[: arguments.size, : arguments.size]
        for path in datasets.sample(4, "valid").hr
    ]
    print("file                        halo  tiles  codes that differ  largest  PSNR, dB")
    try:
        for file in files:
            for halo in HALOS:
                tiles, share, largest, psnr = seams(file, pictures, halo)
                print(
                    f"{file.stem:27} {halo:4d} {tiles:6d} {share:17.4%} {largest:8d}  {psnr:8.1f}",
                    flush=True,
                )
    except InputError as error:
        print(f"measure_halo.py: {error}", file=sys.stderr)
        return 1
    return 0


def seams(file: Path, pictures: list[np.ndarray], halo: int) -> tuple[int, float, int, float]:
    """Tiles a picture, share of differing codes, largest difference, PSNR of tiles to whole."""
    whole, tile = tflite_upscaler(file), ImageInterpreter(file)
    errors = np.concatenate(
        [
            np.abs(in_tiles(tile, picture, halo).astype(int) - whole(picture)).ravel()
            for picture in pictures
        ]
    )
    count = sum(len(plan(picture.shape[0], tile_size(tile), halo)) ** 2 for picture in pictures)
    mean = float((errors**2).mean())
    psnr = 10 * np.log10(255**2 / mean) if mean else float("inf")
    return count // len(pictures), float((errors > 0).mean()), int(errors.max()), psnr


def in_tiles(tile: ImageInterpreter, picture: np.ndarray, halo: int) -> np.ndarray:
    """The picture enlarged tile by tile."""
    size, result = tile_size(tile), None
    for top, y0, y1 in plan(picture.shape[0], size, halo):
        for left, x0, x1 in plan(picture.shape[1], size, halo):
            tile.set_image(picture[top : top + size, left : left + size])
            tile.invoke()
            part = tile.image()
            s = part.shape[0] // size
            if result is None:
                result = np.zeros((picture.shape[0] * s, picture.shape[1] * s, 3), np.uint8)
            result[y0 * s : y1 * s, x0 * s : x1 * s] = part[
                (y0 - top) * s : (y1 - top) * s, (x0 - left) * s : (x1 - left) * s
            ]
    return result


def plan(length: int, tile: int, halo: int) -> list[tuple[int, int, int]]:
    """(window's start, first kept pixel, end of the kept pixels), along one side."""
    steps: list[tuple[int, int, int]] = []
    kept = 0
    while kept < length:
        start = max(0, min(kept - halo, length - tile))
        end = length if start + tile >= length else start + tile - halo
        steps.append((start, kept, end))
        kept = end
    return steps


def tile_size(tile: ImageInterpreter) -> int:
    assert tile.fixed_size is not None
    return tile.fixed_size[0]


if __name__ == "__main__":
    sys.exit(main())
