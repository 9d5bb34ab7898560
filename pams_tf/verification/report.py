"""A comparison in readable form: a Markdown page, and a plot of every layer."""

import os
from collections.abc import Sequence

from pams_tf.reporting.plots.codes import CodesPanel, differing_codes
from pams_tf.verification.parity import Difference, KernelParity, Parity, Tolerance

_CURVES = {
    "cumulative, from the image on": "cumulative",
    "given the same codes": "given_codes",
}


def markdown(parity: Parity, tolerance: Tolerance, failures: Sequence[str]) -> str:
    """The comparison as Markdown: verdict, PSNR, and a table of layers per set of kernels."""
    lines = [
        f"# {parity.file} against the network that was trained",
        "",
        f"**{_verdict(tolerance, failures)}**",
        "",
        *[f"- {failure}" for failure in failures],
        *([""] if failures else []),
        f"{parity.bits} bits; {parity.weights:,} weights compared, all equal; "
        f"{parity.benchmark}, {parity.images} images, whole.",
        *(
            f"{kernels.kernels}: {kernels.differing:,} of {kernels.codes:,} codes differ, from the "
            "image on."
            for kernels in parity.kernels
        ),
        "",
        *_target(parity),
        "| | PSNR-Y, dB | worst layer alone | last layer, cumulative |",
        "|---|---:|---:|---:|",
        f"| student | {parity.student_psnr:.4f} | | |",
        f"| student, every tensor quantized | {parity.psnr:.4f} | | |",
    ]
    for kernels in parity.kernels:
        worst = max(kernels.layers, key=lambda layer: layer.given_codes.share)
        lines.append(
            f"| {kernels.kernels} | {kernels.psnr:.4f} | {_text(worst.given_codes)} "
            f"({worst.site}) | {_text(kernels.layers[-1].cumulative)} |"
        )
    lines += [f"| {name} | cannot run it: {why} | | |" for name, why in parity.absent.items()]
    for kernels in parity.kernels:
        lines += ["", f"## {kernels.kernels}", ""]
        lines += [kernels.note + ".", ""] if kernels.note else []
        lines += _table(kernels)
    return "\n".join(lines) + "\n"


def picture(path: str | os.PathLike[str], parity: Parity, tolerance: Tolerance) -> None:
    """Save a plot of each layer's share of differing codes as a PNG, one panel per set of kernels.

    Raises:
      InputError: the path cannot be written.
    """
    panels = [
        CodesPanel(
            f"{kernels.kernels}, PSNR-Y {kernels.psnr:.4f} dB",
            [layer.site for layer in kernels.layers],
            {
                label: [getattr(layer, field).share for layer in kernels.layers]
                for label, field in _CURVES.items()
            },
        )
        for kernels in parity.kernels
    ]
    title = f"{parity.file}: codes that differ from the student's, {parity.benchmark}"
    differing_codes(path, title, panels, tolerance.share)


def _verdict(tolerance: Tolerance, failures: Sequence[str]) -> str:
    if failures:
        return (
            "Not the network that was trained"
            if not tolerance.loosened
            else "Beyond what is allowed"
        )
    if not tolerance.loosened:
        return "Bit for bit the network that was trained"
    return f"Within what was allowed: per layer {tolerance}, PSNR-Y within {tolerance.psnr:g} dB"


def _target(parity: Parity) -> list[str]:
    """An explanation of what was compared, if the file is for an NPU."""
    if parity.target == "cpu":
        return []
    lines = [
        f"The graph of {parity.file} is rewritten for `--target {parity.target}`. It has the "
        "weights of the cpu file of the same run, which was exported again; the tables below "
        "describe that cpu file. Both files on the same tiles of the images:",
        "",
    ]
    for entry in parity.same_images:
        same = "all equal" if not entry.differing else f"{entry.differing:,} differ"
        lines.append(f"- {entry.kernels}: {entry.tiles} tiles, {entry.codes:,} bytes, {same}")
    return [*lines, ""]


def _table(kernels: KernelParity) -> list[str]:
    return [
        "| layer | operators | codes | same codes | cumulative |",
        "|---|---|---:|---:|---:|",
        *(
            f"| {layer.site} | {layer.operators} | {layer.codes:,} | {_text(layer.given_codes)} | "
            f"{_text(layer.cumulative)} |"
            for layer in kernels.layers
        ),
    ]


def _text(difference: Difference) -> str:
    if not difference.largest:
        return "0"
    return f"{difference.share:.4%} by {difference.largest}"
