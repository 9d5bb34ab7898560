"""The proof: a file against the network that was trained, layer by layer, code by code.

Two comparisons of each layer, on whole images. *Given the same codes*: the simulation of this
layer alone, fed with the codes that the interpreter itself had there, against the codes it made of
them. *Cumulative*: the simulation from the image on against the interpreter from the image on,
where a code that differs once makes others differ behind it.

Both are made twice: with each bias rounded to int32, as every integer file must hold it, where
only the kernels' arithmetic can differ; and with the float biases as they were trained. A bias off
by b accumulator units of M output codes each changes a share b * M of the codes: 0.1 % or more
where M is large.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pams_tf.data.datasets import ImagePairs
from pams_tf.errors import InputError
from pams_tf.evaluation.interpreter import KERNELS, ImageInterpreter
from pams_tf.evaluation.metrics import psnr_y
from pams_tf.evaluation.upscalers import keras_upscaler
from pams_tf.export import metadata
from pams_tf.export.inspection import FileInfo, inspect, read_model
from pams_tf.export.layers import BYTES, IMAGE, OUTPUT, Layer, layers
from pams_tf.export.matching import Match, check_weights, match
from pams_tf.export.parity_npu import TargetParity, check_same_weights, cpu_twin, same_images
from pams_tf.models import SuperResolution
from pams_tf.recipe import QuantizationRecipe
from pams_tf.training.checkpoints import with_recipe
from pams_tf.training.distillation import quantizers


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
      target: what the file is for. If it is an NPU, all of the above is of the CPU's file of the
        same run, made anew, whose weights it has.
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

    def failures(self, tolerance: Tolerance, kernels: str) -> list[str]:
        """What lies beyond the tolerance under one set of kernels, a line each; [] if nothing."""
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


def compare(
    student: SuperResolution,
    path: str | Path,
    pairs: ImagePairs,
    kernels: Sequence[str] = ("xnnpack", "builtin", "reference"),
    num_threads: int | None = None,
) -> Parity:
    """Compare a .tflite file with the student it was exported from.

    Args:
      student: with a recipe; of scope "body" too, then the file's metadata has the ranges of head
        and tail.
      path: the file. One for an NPU is compared with the CPU's file of the same run, made anew: its
        weights, and its images in parts of its own size. The layers are then that file's.
      pairs: images, uint8 (H, W, 3); compared whole, each in its own size.
      kernels: names in `evaluation.interpreter.KERNELS`.
      num_threads: threads of the kernels; None lets the runtime choose.

    Raises:
      InputError: no .tflite file, or its network is not the student's: another architecture,
        recipe, range, or weights; no images, or one that does not fit.
    """
    if not len(pairs):
        raise InputError(f"{pairs.name!r} holds no images; check its folder")
    info = inspect(path)
    content = Path(path).read_bytes()
    known = metadata.read(content)
    target = str((known or {}).get("target", "cpu"))
    sites, original = (known or {}).get("sites"), content
    try:
        whole = simulation(student, known)
        trained = layers(whole)
        if target != "cpu":
            content = cpu_twin(whole, info)
            twin, sites = inspect(content), (metadata.read(content) or {}).get("sites")
            check_same_weights(info, twin, target)
            info = twin
        matches = match(layers(whole, integer_bias=True), info, sites)
        compared = check_weights(matches, info)
    except InputError as error:
        raise InputError(f"{path}: the network in it is not the run's: {error}") from error
    interpreters, notes, absent = {}, {}, {}
    for name in kernels:
        try:
            interpreters[name], notes[name] = _interpreter(content, info, name, num_threads)
        except InputError as error:
            absent[name] = str(error)
    if not interpreters:
        raise InputError(f"{path}: no kernels can run it; {next(iter(absent.values()))}")
    tallies = {name: _Tally(matches, trained) for name in interpreters}
    upscaler = keras_upscaler(student)
    simulated, students = [], []
    for index in range(len(pairs)):
        low, high = pairs.load(index)
        codes = _run([found.layer for found in matches], low)
        as_trained = _run(trained, low)
        students.append(psnr_y(upscaler(low), high, pairs.scale))
        simulated.append(psnr_y(_image(as_trained[OUTPUT]), high, pairs.scale))
        for name, interpreter in interpreters.items():
            interpreter.resize(*low.shape[:2])
            interpreter.set_image(low)
            interpreter.invoke()
            tallies[name].add(interpreter, codes, as_trained)
            tallies[name].psnr.append(psnr_y(interpreter.image(), high, pairs.scale))
    assert student.recipe is not None
    return Parity(
        file=Path(path).name,
        bits=student.recipe.bits,
        benchmark=pairs.name,
        images=len(pairs),
        weights=compared,
        student_psnr=float(np.mean(students)),
        psnr=float(np.mean(simulated)),
        kernels=tuple(tallies[name].result(name, notes[name]) for name in interpreters),
        absent=absent,
        target=target,
        same_images=(
            () if target == "cpu" else same_images(original, interpreters, pairs, num_threads)
        ),
    )


def simulation(student: SuperResolution, known: Mapping[str, Any] | None) -> SuperResolution:
    """The network with a quantizer at every site that a file claims to be a copy of.

    The student's own ranges where it has them; for scope "body" those of head and tail, which the
    export chose, from the file's metadata `known`.

    Raises:
      InputError: the metadata tell of another network, or lack the ranges needed.
    """
    recipe = student.recipe
    if recipe is None:
        raise InputError("the run is a float network's, which has no ranges to compare")
    if known is not None:
        if isinstance(known.get("recipe"), dict):  # an older file lacks newer fields
            recipe_there = QuantizationRecipe.from_dict(known["recipe"], "its recipe").to_dict()
            known = {**known, "recipe": recipe_there}
        for key, mine in (
            ("preset", student.preset),
            ("scale", student.scale),
            ("overrides", student.overrides),
            ("recipe", recipe.to_dict()),
        ):
            if known.get(key) != mine:
                raise InputError(f"its {key} is {known.get(key)!r}, the run's {mine!r}")
        for quantizer in quantizers(student):
            site = known["sites"].get(quantizer.name, {})
            for key, value in quantizer.range.items():
                if site.get(key) != value:
                    raise InputError(
                        f"its range of {quantizer.name} is {key} {site.get(key)!r}, the run's "
                        f"{value!r}"
                    )
    if recipe.scope == "all":
        return student
    whole = with_recipe(student, recipe.replace(scope="all"))
    learned = {q.name for q in quantizers(student)}
    for quantizer in quantizers(whole):
        if quantizer.name not in learned:
            try:
                quantizer.restore_range((known or {})["sites"][quantizer.name])
            except (KeyError, TypeError, ValueError):
                raise InputError(
                    f"no metadata in it tell the range of {quantizer.name}; export the run again"
                ) from None
    return whole


class _Tally:
    """Counts over the images, for one set of kernels."""

    def __init__(self, matches: Sequence[Match], trained: Sequence[Layer]) -> None:
        self.psnr: list[float] = []
        self._matches = matches
        self._trained = trained
        self._codes = [0] * len(matches)
        # A layer's four comparisons, in the order of `LayerParity`: codes that differ, and the
        # largest difference.
        self._counts = np.zeros((len(matches), 4, 2), np.int64)

    def add(
        self,
        interpreter: ImageInterpreter,
        simulated: dict[str, np.ndarray],
        as_trained: dict[str, np.ndarray],
    ) -> None:
        codes = {IMAGE: simulated[IMAGE]}
        for index, (found, trained) in enumerate(zip(self._matches, self._trained, strict=True)):
            site = found.layer.site
            if site == OUTPUT:
                codes[site] = BYTES.codes(interpreter.image()[None])
            else:
                codes[site] = interpreter.codes(found.tensor)
            self._codes[index] += codes[site].size
            alone = found.layer(codes)
            alone_trained = trained(codes) if trained.convolutions else alone
            comparisons = (alone, simulated[site], alone_trained, as_trained[site])
            for counts, expected in zip(self._counts[index], comparisons, strict=True):
                difference = np.abs(codes[site].astype(np.int16) - expected)
                counts[0] += np.count_nonzero(difference)
                counts[1] = max(counts[1], difference.max())

    def result(self, kernels: str, note: str) -> KernelParity:
        return KernelParity(
            kernels=kernels,
            layers=tuple(
                LayerParity(
                    found.layer.site,
                    "+".join(operator.name for operator in found.operators),
                    size,
                    *(Difference(int(share) / size, int(most)) for share, most in counts),
                )
                for found, size, counts in zip(
                    self._matches, self._codes, self._counts, strict=True
                )
            ),
            psnr=float(np.mean(self.psnr)),
            note=note,
        )


def _run(parts: Sequence[Layer], low: np.ndarray) -> dict[str, np.ndarray]:
    """The simulation from the image on: the codes of every site."""
    codes = {IMAGE: BYTES.codes(low[None])}
    for layer in parts:
        codes[layer.site] = layer(codes)
    return codes


def _image(codes: np.ndarray) -> np.ndarray:
    return (codes[0].astype(np.int16) + 128).astype(np.uint8)


def _interpreter(
    content: bytes, info: FileInfo, kernels: str, num_threads: int | None
) -> tuple[ImageInterpreter, str]:
    """An interpreter that keeps every tensor, and a remark on how it came to be.

    LiteRT registers its reference kernel of DEPTH_TO_SPACE for version 1 of the operator only,
    though it computes version 2, int8, as well: such a file runs once it calls itself version 1.
    """
    if kernels not in KERNELS:
        raise InputError(f"kernels={kernels!r} is not possible; choose {', '.join(KERNELS)}")
    try:
        return ImageInterpreter(content, num_threads, kernels=kernels, keep_tensors=True), ""
    except InputError:
        if kernels != "reference" or "DEPTH_TO_SPACE" not in info.operators:
            raise
    older = _older_depth_to_space(content)
    interpreter = ImageInterpreter(older, num_threads, kernels=kernels, keep_tensors=True)
    return interpreter, "run with DEPTH_TO_SPACE declared as version 1, all they register"


def _older_depth_to_space(content: bytes) -> bytes:
    model = read_model(content)
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.DEPTH_TO_SPACE:
            code.version = 1
    builder = flatbuffers.Builder(len(content) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
