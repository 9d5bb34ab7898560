"""How far a file is from the network that was trained, in numbers, and whether that is too far."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pams_tf.verification.npu import TargetParity


@dataclasses.dataclass(frozen=True)
class Difference:
    """How two tensors of codes differ: the share of codes that do, and by how much at most."""

    share: float
    largest: int


@dataclasses.dataclass(frozen=True)
class LayerParity:
    """One layer under one set of kernels.

    Attributes:
      site: the site at its end.
      operators: what computes it in the file, such as "CONV_2D".
      codes: how many were compared.
      given_codes: the layer alone, from the interpreter's own codes, with int32 biases.
      cumulative: everything from the image to here, with int32 biases.
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
    """One set of kernels: its layers in order of execution, its mean PSNR-Y (dB), and a remark."""

    kernels: str
    layers: tuple[LayerParity, ...]
    psnr: float
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """What two equal networks may differ by.

    Attributes:
      largest, share: of the codes of any one layer, given the same codes.
      psnr: dB, between the two means over the images.
    """

    largest: int = 1
    share: float = 0.001
    psnr: float = 0.01

    @classmethod
    def of(cls, bits: int) -> "Tolerance":
        """The usual tolerance for a recipe's bits: 0.01 dB at 8 bits, 0.02 dB below."""
        return cls(psnr=0.01 if bits >= 8 else 0.02)


@dataclasses.dataclass(frozen=True)
class Parity:
    """A file against its simulation.

    Attributes:
      file: its name.
      bits: of the recipe.
      benchmark, images: what was compared on.
      weights: kernel codes compared, all of them equal.
      student_psnr: of the student as it is, mean PSNR-Y against HR, dB. With scope "body" it is
        float in head and tail, where the file is not.
      psnr: of the simulation with a quantizer at every site and the biases as trained.
      kernels: each set of kernels that ran.
      absent: sets of kernels that could not run the file -> why.
      target: what the file is for. For an NPU, all of the above describes the CPU's file of the
        same run, made anew, whose weights the file has.
      same_images: the file itself against that one, for each set of kernels.
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
        """What lies beyond the tolerance under one set of kernels, a line each; [] if nothing.

        Args:
          tolerance: that of the recipe's bits by default, see `Tolerance.of`.
          kernels: the first set that was compared by default.
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
