"""The numbers by which a file differs from the trained network, and whether they are tolerable."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pams_tf.verification.npu import TargetParity


@dataclasses.dataclass(frozen=True)
class Difference:
    """How two tensors of codes differ.

    Example:
      >>> from pams_tf.verification.parity import Difference
      >>> Difference(differing=2, share=0.01, largest=1).share
      0.01

    Attributes:
      differing: number of codes that differ.
      share: the same as a part of all codes, from 0 to 1.
      largest: the largest difference, in codes.

    Source: `verify`.
    """

    differing: int
    share: float
    largest: int


@dataclasses.dataclass(frozen=True)
class LayerParity:
    """One layer under one set of kernels.

    Example:
      >>> from pams_tf.verification.parity import Difference, LayerParity
      >>> alone, whole = Difference(0, 0.0, 0), Difference(2, 0.01, 1)
      >>> LayerParity("head_output", "CONV_2D", 200, alone, whole).cumulative.differing
      2

    Attributes:
      site: the site at its end.
      operators: the operators that compute it in the file, such as "CONV_2D".
      codes: number of codes compared.
      given_codes: the layer alone, from the interpreter's own codes.
      cumulative: everything from the image to this layer.

    Source: `verify`.
    """

    site: str
    operators: str
    codes: int
    given_codes: Difference
    cumulative: Difference


@dataclasses.dataclass(frozen=True)
class KernelParity:
    """The file under one set of kernels.

    Example:
      >>> from pams_tf.verification.parity import Difference, KernelParity, LayerParity
      >>> same = Difference(0, 0.0, 0)
      >>> layer = LayerParity("head_output", "CONV_2D", 200, same, same)
      >>> result = KernelParity("xnnpack", (layer, layer), psnr=34.64)
      >>> result.differing, result.codes
      (0, 400)

    Attributes:
      kernels: "xnnpack", "builtin" or "reference".
      layers: in order of execution.
      psnr: mean PSNR-Y of the file against HR, in dB.
      note: what a reader should know about these kernels; mostly empty.

    Source: `verify`.
    """

    kernels: str
    layers: tuple[LayerParity, ...]
    psnr: float
    note: str = ""

    @property
    def codes(self) -> int:
        """Number of codes compared, in all layers."""
        return sum(layer.codes for layer in self.layers)

    @property
    def differing(self) -> int:
        """Number of codes that differ from the student's, from the image on, in all layers."""
        return sum(layer.cumulative.differing for layer in self.layers)


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How much a file may differ from its network.

    Example:
      >>> from pams_tf.verification.parity import Tolerance
      >>> str(Tolerance()), str(Tolerance(largest=1, share=0.001))
      ('none may', '0.100% by 1 allowed')

    Attributes:
      largest, share: the largest difference, and the largest share of differing codes, in any one
        layer given the same codes.
      psnr: the largest difference of the mean PSNR over the images, in dB.

    Source: docs/verification.md.
    """

    largest: int = 0
    share: float = 0.0
    psnr: float = 0.0

    def __str__(self) -> str:
        if not self.largest or not self.share:
            return "none may"
        return f"{self.share:.3%} by {self.largest} allowed"

    @property
    def loosened(self) -> bool:
        """Whether it allows more than the default, which is no difference at all."""
        return self != Tolerance()


@dataclasses.dataclass(frozen=True)
class Parity:
    """A file against its student.

    Example:
      >>> from pams_tf.verification.parity import KernelParity, Parity
      >>> result = KernelParity("xnnpack", (), psnr=34.5)
      >>> parity = Parity("x2.tflite", 8, "Set5", 5, 140832, 34.6, 34.6, (result,), {})
      >>> parity.failures()
      ["PSNR-Y is 34.5000 dB, the student's 34.6000 dB (0 dB allowed)"]

    Attributes:
      file: name of the file.
      bits: bit width of the recipe.
      benchmark, images: the set of images and their number.
      weights: number of kernel codes compared, all of which are equal.
      student_psnr: mean PSNR-Y of the student itself against HR, in dB. With scope "body" its head
        and tail are float, unlike those of the file.
      psnr: that of the student with a quantizer at every site; for scope "all" the same.
      kernels: the result of each set of kernels that ran.
      absent: set of kernels that could not run the file -> the reason.
      target: the target of the file. For an NPU, everything above describes a CPU file that was
        exported again from the same run and has the same weights.
      same_images: the file itself against that CPU file, for each set of kernels.

    Source: `verify`.
    """

    file: str
    bits: int
    benchmark: str
    images: int
    weights: int
    student_psnr: float
    psnr: float
    kernels: tuple[KernelParity, ...]
    absent: Mapping[str, str]
    target: str = "cpu"
    same_images: tuple[TargetParity, ...] = ()

    def failures(self, tolerance: Tolerance | None = None, kernels: str | None = None) -> list[str]:
        """What exceeds the tolerance under one set of kernels, one line each; [] if nothing does.

        Args:
          tolerance: by default none: no code may differ.
          kernels: by default the first set that was compared.
        """
        tolerance = tolerance or Tolerance()
        kernels = kernels or self.kernels[0].kernels
        if kernels in self.absent:
            return [f"{kernels} kernels cannot run it: {self.absent[kernels]}"]
        (judged,) = (entry for entry in self.kernels if entry.kernels == kernels)
        lines = []
        for layer in judged.layers:
            given = layer.given_codes
            if given.largest > tolerance.largest or given.share > tolerance.share:
                lines.append(
                    f"{layer.site}: {given.differing:,} of {layer.codes:,} codes differ, by up to "
                    f"{given.largest}, given the same codes ({tolerance})"
                )
        if not abs(judged.psnr - self.psnr) <= tolerance.psnr:
            lines.append(
                f"PSNR-Y is {judged.psnr:.4f} dB, the student's {self.psnr:.4f} dB "
                f"({tolerance.psnr:g} dB allowed)"
            )
        for entry in self.same_images:
            if entry.kernels == kernels and entry.differing:
                lines.append(
                    f"{entry.differing:,} of {entry.codes:,} image bytes differ, by up to "
                    f"{entry.largest}, from those of the cpu file of the run (none allowed)"
                )
        return lines

    def as_json(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return dataclasses.asdict(self)
