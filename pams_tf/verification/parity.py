"""The numbers by which a file differs from the trained network, and whether they are tolerable."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pams_tf.verification.npu import TargetParity


@dataclasses.dataclass(frozen=True)
class Difference:
    """How two tensors of codes differ: the share of differing codes, and the largest difference."""

    share: float
    largest: int


@dataclasses.dataclass(frozen=True)
class LayerParity:
    """One layer under one set of kernels.

    Attributes:
      site: the site at its end.
      operators: the operators that compute it in the file, such as "CONV_2D".
      codes: number of codes compared.
      given_codes: the layer alone, from the interpreter's own codes, with int32 biases.
      cumulative: everything from the image to this layer, with int32 biases.
      given_codes_trained_bias, cumulative_trained_bias: the same with the biases as trained.
    """

    site: str
    operators: str
    codes: int
    given_codes: Difference
    cumulative: Difference
    given_codes_trained_bias: Difference
    cumulative_trained_bias: Difference


@dataclasses.dataclass(frozen=True)
class KernelParity:
    """One set of kernels: its layers in order of execution, its mean PSNR-Y (dB), and a note."""

    kernels: str
    layers: tuple[LayerParity, ...]
    psnr: float
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How much a file may differ from its network.

    Attributes:
      largest, share: the largest difference, and the largest share of differing codes, in any one
        layer given the same codes.
      psnr: the largest difference of the mean PSNR over the images, in dB.
    """

    largest: int = 1
    share: float = 0.001
    psnr: float = 0.01

    @classmethod
    def of(cls, bits: int) -> "Tolerance":
        """The default tolerance for a recipe's bit width: 0.01 dB at 8 bits, 0.02 dB below."""
        return cls(psnr=0.01 if bits >= 8 else 0.02)


@dataclasses.dataclass(frozen=True)
class Parity:
    """A file against its simulation.

    Attributes:
      file: name of the file.
      bits: bit width of the recipe.
      benchmark, images: the set of images and their number.
      weights: number of kernel codes compared, all of which are equal.
      student_psnr: mean PSNR-Y of the student itself against HR, in dB. With scope "body" its head
        and tail are float, unlike those of the file.
      psnr: that of the simulation with a quantizer at every site and the biases as trained.
      kernels: the result of each set of kernels that ran.
      absent: set of kernels that could not run the file -> the reason.
      target: the target of the file. For an NPU, everything above describes a CPU file that was
        exported again from the same run and has the same weights.
      same_images: the file itself against that CPU file, for each set of kernels.
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
          tolerance: by default that of the recipe's bit width; see `Tolerance.of`.
          kernels: by default the first set that was compared.
        """
        tolerance = tolerance or Tolerance.of(self.bits)
        kernels = kernels or self.kernels[0].kernels
        if kernels in self.absent:
            return [f"{kernels} kernels cannot run it: {self.absent[kernels]}"]
        (judged,) = (entry for entry in self.kernels if entry.kernels == kernels)
        lines = []
        for layer in judged.layers:
            given = layer.given_codes
            if given.largest > tolerance.largest or given.share > tolerance.share:
                lines.append(
                    f"{layer.site}: {given.share:.3%} of codes differ, by up to {given.largest}, "
                    f"given the same codes ({tolerance.share:.3%} and {tolerance.largest} allowed)"
                )
        if not abs(judged.psnr - self.psnr) <= tolerance.psnr:
            lines.append(
                f"PSNR-Y is {judged.psnr:.4f} dB, the simulation's {self.psnr:.4f} dB "
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
