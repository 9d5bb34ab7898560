"""How far tiles differ from the whole picture, for each width of the halo that they share.

Example: python mobile/measure_halo.py --models mobile/build/models

The photographs that no network here was trained on are enlarged in one piece and in tiles of the
file's own size, with the same kernels. With a halo of what the network can see not one code
differs, at the price of more tiles.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from pams_tf.data import datasets
from pams_tf.data.images import read_image
from pams_tf.errors import InputError
from pams_tf.evaluation.upscalers import tflite_upscaler
from pams_tf.export import TiledUpscaler

HALOS = (0, 8, 12, 14, 16, 24, 32, 37)


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
    print(f"{'file':27} halo  codes that differ  largest  PSNR, dB")
    try:
        for file in files:
            for halo in HALOS:
                share, largest, psnr = seams(file, pictures, halo)
                print(f"{file.stem:27} {halo:4d} {share:20.4%} {largest:8d}  {psnr:8.1f}")
    except InputError as error:
        print(f"measure_halo.py: {error}", file=sys.stderr)
        return 1
    return 0


def seams(file: Path, pictures: list[np.ndarray], halo: int) -> tuple[float, int, float]:
    """Share of differing codes, largest difference, PSNR of tiles to the whole."""
    whole, tiles = tflite_upscaler(file), TiledUpscaler(file, halo)
    errors = np.concatenate(
        [np.abs(tiles(picture).astype(int) - whole(picture)).ravel() for picture in pictures]
    )
    mean = float((errors**2).mean())
    psnr = 10 * np.log10(255**2 / mean) if mean else float("inf")
    return float((errors > 0).mean()), int(errors.max()), psnr


if __name__ == "__main__":
    sys.exit(main())
