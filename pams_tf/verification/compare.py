"""Verifies a file against the trained network, layer by layer, code by code.

Each layer is compared in two ways, on whole images. *Given the same codes*: this layer of the
student alone, fed with the interpreter's own input codes, against the interpreter's output codes.
*Cumulative*: the student from the image on against the interpreter from the image on, where one
differing code can change others in later layers.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pams_tf.data.colour import seen
from pams_tf.data.datasets import SAMPLE_NAME, ImagePairs
from pams_tf.errors import InputError
from pams_tf.evaluation.benchmark import find_pairs
from pams_tf.evaluation.metrics import psnr_y
from pams_tf.evaluation.upscaler import keras_function
from pams_tf.litert import metadata
from pams_tf.litert.file_info import FileInfo
from pams_tf.litert.flatbuffer import name_of, read_bytes, read_file
from pams_tf.litert.interpreter import KERNELS, ImageInterpreter
from pams_tf.litert.packing import repacked
from pams_tf.models import load
from pams_tf.models.files import Source
from pams_tf.verification.layers import BYTES, IMAGE, OUTPUT, Layer, as_int8, layers
from pams_tf.verification.matching import Match, check_weights, match
from pams_tf.verification.npu import check_same_weights, cpu_twin, same_images
from pams_tf.verification.parity import Difference, KernelParity, LayerParity, Parity
from pams_tf.verification.simulation import simulation


def verify(
    model: Source,
    tflite: str | os.PathLike[str] | bytes,
    images: ImagePairs | str | os.PathLike[str] = SAMPLE_NAME,
    *,
    kernels: Sequence[str] = ("xnnpack",),
    num_threads: int | None = None,
) -> Parity:
    """Compare a .tflite file with the student that it was exported from, code by code.

    Every weight code and bias must be the student's; then whole images go through both, and the
    codes of every layer are compared. The result is returned even if codes differ;
    `Parity.failures` lists what exceeds a tolerance.

    Example:
      >>> import pams_tf
      >>> student = pams_tf.quantize("edsr_mobile_x2", pams_tf.QuantizationRecipe(scope="all"))
      >>> content = pams_tf.convert(student, input_size=(90, 160))
      >>> parity = pams_tf.verify(student, content, "sample")
      >>> parity.failures()
      []

    Args:
      model: the student: a Keras model of `pams_tf`, a `.keras` file or a run folder. For scope
        "body", the ranges of head and tail are read from the file's metadata.
      tflite: the file, or its content. The weights and output images of a file for an NPU are
        compared with those of a CPU file that is exported again from the student, on tiles of the
        NPU file's size. The layers that are compared are then those of the CPU file.
      images: "sample" for the built-in validation photographs, a folder as in `pams_tf.evaluate`,
        or `ImagePairs`. Each image is compared whole, in its own size.
      kernels: sets of LiteRT's kernels, from "xnnpack", "builtin" and "reference".
      num_threads: number of threads; None takes one per core.

    Returns:
      For each layer and set of kernels, the share of codes (0 to 1) that differ and by how much;
      PSNR on Y in dB of student and file.

    Raises:
      InputError: the file is not a .tflite file, or its network is not the student's but has
        another architecture, recipe, range or weights; or there are no images, or one cannot be
        used.

    Source: docs/verification.md.
    """
    student = load(model)
    if student.recipe is None:
        raise InputError(f"{student.described} is a float network; give a quantized student")
    pairs = find_pairs(images, student.scale)
    if not len(pairs):
        raise InputError(f"{pairs.name!r} holds no images; check its folder")
    name, content = name_of(tflite), read_bytes(tflite)
    info = read_file(content, name)
    known = metadata.fields(info)
    target = str((known or {}).get("target", "cpu"))
    original = content
    try:
        whole = simulation(student, known)
        if target != "cpu":
            content = cpu_twin(whole, info)
            twin = read_file(content)
            check_same_weights(info, twin, target)
            info = twin
        matches = match(layers(whole, int4=info.has_int4_weights), info)
        compared = check_weights(matches, info)
    except InputError as error:
        raise InputError(f"{name}: the network in it is not the run's: {error}") from error
    interpreters, notes, absent = {}, {}, {}
    for kernel_set in kernels:
        try:
            interpreters[kernel_set], notes[kernel_set] = _interpreter(
                content, info, kernel_set, num_threads
            )
        except InputError as error:
            absent[kernel_set] = str(error)
    if not interpreters:
        raise InputError(f"{name}: no kernels can run it; {next(iter(absent.values()))}")
    tallies = {kernel_set: _Tally(matches) for kernel_set in interpreters}
    upscale = keras_function(student, student.channels)
    simulated, students = [], []
    for index in range(len(pairs)):
        low, high = pairs.load(index)
        low = seen(low, student.channels).astype(np.uint8)
        codes = _run([found.layer for found in matches], low)
        students.append(psnr_y(upscale(low), high, pairs.scale))
        simulated.append(psnr_y(_image(codes[OUTPUT]), high, pairs.scale))
        for kernel_set, interpreter in interpreters.items():
            interpreter.resize(*low.shape[:2])
            output = interpreter.run(low)
            tallies[kernel_set].add(interpreter, codes)
            tallies[kernel_set].psnr.append(psnr_y(output, high, pairs.scale))
    assert student.recipe is not None
    return Parity(
        file=Path(name).name,
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


class _Tally:
    """Counts of differing codes over the images, for one set of kernels."""

    def __init__(self, matches: Sequence[Match]) -> None:
        self.psnr: list[float] = []
        self._matches = matches
        self._codes = [0] * len(matches)
        # For each of a layer's two comparisons, in the order of `LayerParity`: the number of
        # differing codes and the largest difference.
        self._counts = np.zeros((len(matches), 2, 2), np.int64)

    def add(self, interpreter: ImageInterpreter, simulated: dict[str, np.ndarray]) -> None:
        codes = {IMAGE: simulated[IMAGE]}
        for index, found in enumerate(self._matches):
            site = found.layer.site
            if site == OUTPUT:
                codes[site] = as_int8(interpreter.image()[None], BYTES)
            else:
                codes[site] = interpreter.codes(found.tensor)
            self._codes[index] += codes[site].size
            comparisons = (found.layer(codes), simulated[site])
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
                    *(
                        Difference(int(count), int(count) / size, int(most))
                        for count, most in counts
                    ),
                )
                for found, size, counts in zip(
                    self._matches, self._codes, self._counts, strict=True
                )
            ),
            psnr=float(np.mean(self.psnr)),
            note=note,
        )


def _run(parts: Sequence[Layer], low: np.ndarray) -> dict[str, np.ndarray]:
    """The codes of every site of the student from the image on."""
    codes = {IMAGE: as_int8(low[None], BYTES)}
    for layer in parts:
        codes[layer.site] = layer(codes)
    return codes


def _image(codes: np.ndarray) -> np.ndarray:
    return (codes[0].astype(np.int16) + 128).astype(np.uint8)


def _interpreter(
    content: bytes, info: FileInfo, kernels: str, num_threads: int | None
) -> tuple[ImageInterpreter, str]:
    """An interpreter that keeps every tensor, and a note if the file had to be changed to run.

    LiteRT registers its reference kernel of DEPTH_TO_SPACE only for version 1 of the operator,
    although it also computes version 2, int8: such a file runs if it declares version 1.
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
    return interpreter, "run with DEPTH_TO_SPACE declared as version 1, the only one registered"


def _older_depth_to_space(content: bytes) -> bytes:
    def change(model: Any) -> None:
        for code in model.operatorCodes:
            if code.builtinCode == schema.BuiltinOperator.DEPTH_TO_SPACE:
                code.version = 1

    return repacked(content, change)
