"""All layouts, and which of them some weights have."""

from collections.abc import Iterable

import keras
import numpy as np

from pams_tf.errors import InputError
from pams_tf.models.layouts import branches, compact, espcn, fsrcnn, mobile, released, sequential
from pams_tf.models.layouts.layout import Fit, Layout, Mismatch, Options, Tensors, listed

FAMILIES: tuple[Layout, ...] = (
    *compact.LAYOUTS,
    *espcn.LAYOUTS,
    *fsrcnn.LAYOUTS,
    *mobile.LAYOUTS,
    *branches.LAYOUTS,
    *released.LAYOUTS,  # last: of layouts that are equally near, the first is reported
)
LAYOUTS = {layout.name: layout for layout in (*FAMILIES, *sequential.GENERAL)}
"""By name; `sequential.GENERAL` counts only for weights of no family."""

_SHOWN = 12
_GREY = 128.0
_SIDE = 48


def recognise(
    tensors: Tensors,
    origin: str,
    layout: str | None = None,
    scale: int | None = None,
    options: Options | None = None,
) -> Fit:
    """The network that the weights are.

    Args:
      tensors: arrays by their PyTorch names.
      origin: what messages call the weights: the file's name.
      layout: a name in LAYOUTS, where they fit several; None for any.
      scale: the upscaling factor, where they fit several; None for any.
      options: what the network will be built with, for what it makes of a grey image.

    Raises:
      InputError: they are of no known layout (the message lists tensors and the nearest layout),
        fit several networks (it lists them), or do not fit `layout` and `scale`.
    """
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"unknown layout {layout!r}; choose one of {', '.join(LAYOUTS)}")
    chosen = [LAYOUTS[layout]] if layout is not None else FAMILIES
    fits, misfits = _tried(tensors, chosen)
    if not fits and layout is None:
        fits, others = _tried(tensors, sequential.GENERAL)
        misfits |= others
    if not fits:
        raise InputError(_unknown(tensors, origin, misfits))
    wanted = [fit for fit in fits if scale in (None, fit.scale)]
    if not wanted:
        found = " or ".join(dict.fromkeys(fit.described for fit in fits))
        raise InputError(f"{origin}: is {found}, not x{scale}")
    if len(wanted) > 1:
        raise InputError(_ambiguous(origin, wanted, options or Options()))
    return wanted[0]


def _tried(tensors: Tensors, layouts: Iterable[Layout]) -> tuple[list[Fit], dict[Layout, Mismatch]]:
    fits: list[Fit] = []
    misfits = {}
    for layout in layouts:
        try:
            fits += layout.fits(tensors)
        except Mismatch as mismatch:
            misfits[layout] = mismatch
    return fits, misfits


def _unknown(tensors: Tensors, origin: str, misfits: dict[Layout, Mismatch]) -> str:
    held = listed((f"{name} {list(array.shape)}" for name, array in tensors.items()), _SHOWN)
    nearest = max(misfits, key=lambda layout: layout.known(tensors))
    if len(misfits) == 1:
        return f"{origin}: not of layout {nearest.name}: {misfits[nearest]}; it holds {held}"
    near = f"nearest is {nearest.name}, but {misfits[nearest]}; " * (nearest.known(tensors) > 0)
    return (
        f"{origin}: {len(tensors)} tensors of no known layout: {held}; {near}"
        f"known are {', '.join(LAYOUTS)}"
    )


def _ambiguous(origin: str, fits: list[Fit], options: Options) -> str:
    """Lists the networks, each with what it makes of a grey image: trained ones keep it grey."""
    by_scale = len({fit.layout for fit in fits}) == 1
    choices = "; ".join(
        f"--scale {fit.scale}" * by_scale
        + f"--layout {fit.layout}" * (not by_scale)
        + f" (grey {_grey_becomes(fit, options):.1f}): {fit.described}"
        for fit in fits
    )
    return (
        f"{origin}: the shapes fit {len(fits)} networks; choose the one that keeps an image of "
        f"grey {_GREY:.0f} grey: {choices}"
    )


def _grey_becomes(fit: Fit, options: Options) -> float:
    """The mean of an upscaled grey image, away from its borders."""
    network = fit.build(options)
    grey = np.full((1, _SIDE, _SIDE, network.input_shape[-1]), _GREY, np.float32)
    upscaled = keras.ops.convert_to_numpy(network(grey))
    third = upscaled.shape[1] // 3
    return float(upscaled[:, third:-third, third:-third].mean())
