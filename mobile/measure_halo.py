"""Measure how much tiles differ from the whole picture, for several values of the halo.

Example: python mobile/measure_halo.py --models mobile/build/models

Parts of photographs that were not used for training are upscaled in one piece and in three by three
tiles of the file's own size, with the same kernels. Each part has exactly the size that nine tiles
with that halo cover: at other sizes tiles are spread evenly, and their halos are wider. With a halo
of the receptive field, not one code differs.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from pams_tf.data import datasets
from pams_tf.data.images import read_image
from pams_tf.errors import InputError
from pams_tf.evaluation.upscaler import tflite_upscale
from pams_tf.litert.upscaler import LiteRTUpscaler

HALOS = (0, 8, 12, 14, 16, 24, 32, 37)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="mobile/build/models", help="what build_models.py made")
    arguments = parser.parse_args()
    files = sorted(Path(arguments.models).glob("*bit.tflite"))
    if not files:
        print(f"measure_halo.py: {arguments.models} holds no integer files", file=sys.stderr)
        return 1
    pictures = [read_image(path) for path in datasets.sample(4, "valid").hr]
    print(f"{'file':27} halo  side  codes that differ  largest  PSNR, dB")
    try:
        for file in files:
            for halo in HALOS:
                side, share, largest, psnr = seams(file, pictures, halo)
                figures = f"{share:18.4%} {largest:8d}  {psnr:8.1f}"
                print(f"{file.stem:27} {halo:4d} {side:5d} {figures}", flush=True)
    except InputError as error:
        print(f"measure_halo.py: {error}", file=sys.stderr)
        return 1
    return 0


def seams(file: Path, pictures: list[np.ndarray], halo: int) -> tuple[int, float, int, float]:
    """Compare tiles with the whole picture.

    Returns:
      Side of the parts, share of differing codes, largest difference, and PSNR in dB.
    """
    whole, tiles = tflite_upscale(file), LiteRTUpscaler(file, halo=halo)
    side = 3 * tiles.tile[0] - 4 * halo
    parts = [picture[:side, :side] for picture in pictures if min(picture.shape[:2]) >= side]
    errors = np.concatenate(
        [np.abs(tiles(part).astype(int) - whole(part)).ravel() for part in parts]
    )
    mean = float((errors**2).mean())
    psnr = 10 * np.log10(255**2 / mean) if mean else float("inf")
    return side, float((errors > 0).mean()), int(errors.max()), psnr


if __name__ == "__main__":
    sys.exit(main())
