"""The quantization recipe: a frozen dataclass, validated on creation and saved as JSON."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from pams_tf.errors import InputError
from pams_tf.files import write_text
from pams_tf.grid import signed_qmax, unsigned_qmax
from pams_tf.reading import excerpt, read_json

CARD_FORMAT = "pams_tf model card"
"""Value of "format" in the JSON card next to a model file; see `litert.card`."""
_OLD_NAMES = {"edge_bits": "head_tail_bits"}
METHODS = ("pams", "dorefa", "tflite", "pact")
SCOPES = ("body", "all")
ALPHA_GRADIENTS = ("eq3", "rounding")
WEIGHT_RANGES = ("maximum", "learned")
INITIAL_RANGES = ("ema", "error")
INITIAL_WEIGHTS = ("teacher", "fitted")
"""Where a student starts from, see `quantize`; a choice of each run, not of the recipe."""
BITS = (2, 3, 4, 5, 6, 7, 8, 16)
FEW = 4
"""Up to so many bits the options of `QuantizationRecipe.best` are the default of fine-tuning."""


@dataclasses.dataclass(frozen=True)
class QuantizationRecipe:
    """How a network is quantized. A network without a recipe is float.

    Attributes:
      method: "pams", a learned symmetric range (paper, Eq. 1), or one of the paper's baselines:
        "dorefa" (Zhou et al. 2016), tanh weights and a fixed range; "tflite" (Jacob et al. 2018),
        moving averages of the minimum and maximum; "pact" (Choi et al. 2018), a learned clip.
      bits: bit width of weights and activations in the body: 2 to 8, or 16.
      scope: "body" quantizes only the high-level feature extractor, as in the paper; "all"
        quantizes every tensor from the input image to the output image, as an integer file needs.
      per_channel: one weight range per output channel; the paper uses one per tensor.
      alpha_gradient: "eq3" (paper, Eq. 3) or "rounding" (as in the released code, which also counts
        the rounding error inside the range).
      head_tail_bits: bit width of head and tail when the scope is "all". The default is 8: the
        image itself has 8 bits, and two thin layers offer little to save.
      unsigned: with "pams", quantize tensors after a ReLU to [0, alpha] with all 2**bits - 1 steps.
        Not in the paper; the other methods always do so.
      equalize: give every channel between two convolutions the range of the widest before anything
        is calibrated; see `models.equalization`. Not in the paper.
      weight_range: "maximum", the largest magnitude of a kernel (paper), or "learned", a clip that
        starts with the smallest error of the kernel and is trained; see `functional.learned_clip`.
        Not for DoReFa, whose weights have a grid of their own.
      asymmetric: with "pams", two learned ends in the place of one for tensors of both signs, and
        [0, alpha] after a ReLU, as with `unsigned`; see `functional.pams_ends`. Not in the paper.
      layer_bits: bit widths of single convolutions (their kernels) and sites (their activations) by
        name, such as {"conv_0": 8}; they override `bits` and `head_tail_bits`. A name that is none
        of the network's is an error when the student is built.

    Example:
      >>> import pams_tf
      >>> recipe = pams_tf.QuantizationRecipe(bits=4, scope="all")
      >>> recipe.replace(bits=8).bits
      8

    Raises:
      InputError: a field has an unsupported value; the message repeats it and says what to use.

    Source: Li et al., ECCV 2020, Section 3; the baselines' papers as named above.
    """

    method: str = "pams"
    bits: int = 8
    scope: str = "body"
    per_channel: bool = False
    alpha_gradient: str = "eq3"
    head_tail_bits: int = 8
    unsigned: bool = False
    equalize: bool = False
    weight_range: str = "maximum"
    asymmetric: bool = False
    layer_bits: dict[str, int] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        check_choice("bits", self.bits, BITS)
        check_choice("scope", self.scope, SCOPES)
        check_choice("per_channel", self.per_channel, (False, True))
        check_choice("alpha_gradient", self.alpha_gradient, ALPHA_GRADIENTS)
        check_choice("head_tail_bits", self.head_tail_bits, BITS)
        check_choice("unsigned", self.unsigned, (False, True))
        check_choice("equalize", self.equalize, (False, True))
        check_choice("weight_range", self.weight_range, WEIGHT_RANGES)
        check_choice("asymmetric", self.asymmetric, (False, True))
        self._check_layer_bits()
        for name in ("unsigned", "asymmetric"):
            if getattr(self, name) and self.method != "pams":
                raise InputError(
                    f"{name}=True is for method='pams'; {self.method!r} has its own rule for the "
                    "ends of a range, so leave it False"
                )
        if self.weight_range == "learned" and self.method == "dorefa":
            raise InputError(
                "weight_range='learned' is not for method='dorefa', whose weights have a grid of "
                "their own; leave it 'maximum'"
            )

    @classmethod
    def best(cls, bits: int = 8, method: str = "pams", **fields: Any) -> "QuantizationRecipe":
        """The recipe whose options measured best in short trainings; they are not in the paper.

        Example:
          >>> import pams_tf
          >>> pams_tf.QuantizationRecipe.best(bits=4, scope="all").alpha_gradient
          'rounding'

        Args:
          bits, method: see the attributes.
          **fields: other fields, which override what is chosen here.

        Source: the measurements in docs/method.md.
        """
        pams = method == "pams"
        chosen: dict[str, Any] = {"per_channel": True, "unsigned": pams, "equalize": True}
        if pams and bits <= FEW:
            chosen |= {
                "alpha_gradient": "rounding",
                "weight_range": "learned",
                "asymmetric": True,
            }
        return cls(**{"bits": bits, "method": method, **chosen, **fields})

    @property
    def best_start(self) -> dict[str, str]:
        """Where a student of this recipe starts best: arguments of `quantize` and `finetune`."""
        weights = "fitted" if self.fits_kernels else "teacher"
        return {"initial_range": "error", "initial_weights": weights}

    def _check_layer_bits(self) -> None:
        if not isinstance(self.layer_bits, dict):
            raise InputError(
                f"layer_bits={excerpt(self.layer_bits)} is not possible; give a mapping of names "
                "to bit widths"
            )
        for name, bits in self.layer_bits.items():
            if not isinstance(name, str):
                raise InputError(f"layer_bits has the name {excerpt(name)}; give a layer's name")
            check_choice(f"layer_bits[{excerpt(name)}]", bits, BITS)
        object.__setattr__(self, "layer_bits", dict(self.layer_bits))

    def bits_of(self, name: str, *, body: bool) -> int:
        """The bit width of a convolution's kernel or of the activations at a site, by its name."""
        return self.layer_bits.get(name, self.bits if body else self.head_tail_bits)

    @property
    def all_bits(self) -> tuple[int, ...]:
        """The bit widths that it names, for body, head and tail, and single layers."""
        return (self.bits, self.head_tail_bits, *self.layer_bits.values())

    @property
    def kernel_qmax(self) -> int:
        """The largest code of the body's weights; for DoReFa, whose codes are odd, 2**bits - 1."""
        dorefa = self.method == "dorefa"
        return unsigned_qmax(self.bits) if dorefa else signed_qmax(self.bits)

    @property
    def fits_int8(self) -> bool:
        """Whether int8 tensors can hold its codes; if so, a student computes with integers."""
        return max(self.all_bits) <= 8

    @property
    def fits_kernels(self) -> bool:
        """Whether kernels can be fitted: their codes are in int8, and not on DoReFa's own grid."""
        return self.fits_int8 and self.method != "dorefa"

    def replace(self, **changes: Any) -> "QuantizationRecipe":
        """A copy with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Any, source: str = "recipe") -> "QuantizationRecipe":
        """Build a recipe from a mapping; missing fields take their defaults.

        Args:
          fields: a mapping of field names to values.
          source: where the fields came from, for error messages.

        Raises:
          InputError: `fields` is not a mapping, or has an unknown field or an unsupported value;
            the message names `source`.
        """
        if not isinstance(fields, dict):
            raise InputError(f"{source}: expected a JSON object, received {excerpt(fields)}")
        fields = {_OLD_NAMES.get(name, name): value for name, value in fields.items()}
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise InputError(
                f"{source}: unknown key {', '.join(map(repr, unknown))}; "
                f"a recipe has {', '.join(known)}"
            )
        try:
            return cls(**fields)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the recipe as JSON, atomically."""
        write_text(path, json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "QuantizationRecipe":
        """Read a recipe from its JSON file, or from the card next to a model file.

        Raises:
          InputError: the file is missing, is not JSON, or holds no valid recipe; the message names
            the file.
        """
        if not Path(path).exists():
            raise InputError(f"{path}: no such recipe file")
        fields = read_json(path)
        if isinstance(fields, dict) and fields.get("format") == CARD_FORMAT:
            if fields.get("recipe") is None:
                raise InputError(
                    f"{path}: this is the card of a float network, which has no recipe"
                )
            fields = fields["recipe"]
        return cls.from_dict(fields, source=str(path))


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Raise an InputError that names the choices if `value` is none of them."""
    # True == 1 and 8.0 == 8 in Python, so the types must match too.
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        listed = ", ".join(map(repr, choices))
        raise InputError(f"{name}={excerpt(value)} is not possible; choose one of {listed}")
