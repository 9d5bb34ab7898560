"""PSNR and SSIM on the luma channel, as super-resolution papers report them.

Conventions (Li et al., ECCV 2020, Section 4, and the benchmark scripts that the field inherited
from MATLAB): luma is BT.601 in studio range, in double precision and not rounded (rounding would
cost bicubic 0.03 dB on Set5 x2, and published figures do not round); `border` pixels (the scale)
are cropped on each side; figures are computed per image and averaged over a benchmark.
"""

import numpy as np
import numpy.typing as npt

from pams_tf.data.colour import luma
from pams_tf.errors import InputError

_PEAK = 255.0

_SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5
_SSIM_C1 = (0.01 * _PEAK) ** 2
_SSIM_C2 = (0.03 * _PEAK) ** 2


def psnr_y(output: npt.ArrayLike, target: npt.ArrayLike, border: int) -> float:
    """Peak signal-to-noise ratio on luma in dB, with a peak of 255; `inf` for equal images.

    Args:
      output: (H, W, 3) RGB in [0, 255], already rounded to 8 bits if figures are to be comparable;
        or (H, W, 1), luma.
      target: (H, W, 3) RGB.
      border: pixels to crop on each side first; papers crop `scale`.

    Raises:
      InputError: shapes differ or nothing is left inside the border.
    """
    difference = np.subtract(*_cropped_lumas(output, target, border, smallest=1))
    error = float(np.mean(difference**2))
    return float("inf") if error == 0.0 else float(10.0 * np.log10(_PEAK**2 / error))


def ssim_y(output: npt.ArrayLike, target: npt.ArrayLike, border: int) -> float:
    """Mean structural similarity on luma, in [-1, 1]; 1 for equal images.

    The original definition (Wang et al., 2004): an 11x11 Gaussian window with sigma 1.5, weighted
    variances without bias correction, K1 = 0.01, K2 = 0.03, averaged over the pixels whose whole
    window lies inside the image.

    Args:
      output: (H, W, 3) RGB in [0, 255].
      target: an image of the same shape.
      border: pixels to crop on each side first.

    Raises:
      InputError: shapes differ, or what is left inside the border is smaller than one window.
    """
    x, y = _cropped_lumas(output, target, border, smallest=_SSIM_WINDOW)
    mean_x, mean_y = _smooth(x), _smooth(y)
    variance_x = _smooth(x * x) - mean_x**2
    variance_y = _smooth(y * y) - mean_y**2
    covariance = _smooth(x * y) - mean_x * mean_y
    similarity = ((2 * mean_x * mean_y + _SSIM_C1) * (2 * covariance + _SSIM_C2)) / (
        (mean_x**2 + mean_y**2 + _SSIM_C1) * (variance_x + variance_y + _SSIM_C2)
    )
    return float(np.mean(similarity))


def _cropped_lumas(
    output: npt.ArrayLike, target: npt.ArrayLike, border: int, smallest: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    output, target = np.asarray(output), np.asarray(target)
    if output.ndim == 3 and output.shape[-1] == 1:  # Y already
        output, target = output.astype(np.float64), luma(target)[..., None]
    if output.shape != target.shape:
        raise InputError(
            f"output and target differ in shape: {output.shape} and {target.shape}; "
            "crop the target to a multiple of the scale first"
        )
    if target.ndim != 3:
        raise InputError(f"PSNR and SSIM compare single images (H, W, 3), got {target.shape}")
    if border < 0:
        raise InputError(f"border is {border}; give 0 or more pixels")
    height, width = target.shape[0] - 2 * border, target.shape[1] - 2 * border
    if min(height, width) < smallest:
        raise InputError(
            f"an image of {target.shape[0]}x{target.shape[1]} pixels is too small: inside a border "
            f"of {border} at least {smallest}x{smallest} must remain"
        )
    inside = (slice(border, border + height), slice(border, border + width))
    if output.shape[-1] == 1:
        return output[inside][..., 0], target[inside][..., 0]
    return luma(output[inside]), luma(target[inside])


def _smooth(image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Gaussian filter over the valid region: (H, W) -> (H - 10, W - 10).

    The 2-D window is the outer product of two 1-D ones, so rows and columns are filtered in turn.
    """
    offsets = np.arange(_SSIM_WINDOW) - _SSIM_WINDOW // 2
    window = np.exp(-(offsets**2) / (2.0 * _SSIM_SIGMA**2))
    window /= window.sum()
    height, width = (size - _SSIM_WINDOW + 1 for size in image.shape)
    rows = sum(weight * image[i : i + height] for i, weight in enumerate(window))
    return sum(weight * rows[:, i : i + width] for i, weight in enumerate(window))
