"""Files that would end the process are refused, and what is not refused does not end it."""

import subprocess
import sys

import numpy as np
import pytest

from pams_tf import InputError, inspect
from pams_tf.export.converter import convert
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert.interpreter import ImageInterpreter

# Runs each file with LiteRT itself; a file may fail, the process may not.
RUN = """
import sys
from ai_edge_litert.interpreter import Interpreter
for path in sys.argv[1:]:
    print(path, flush=True)
    try:
        interpreter = Interpreter(path)
        interpreter.allocate_tensors()
        interpreter.invoke()
    except (RuntimeError, ValueError):
        pass
"""
SCALES = [0.0, -1.0, np.nan, np.inf, 1e-45, 1e38, 2.0**20, 2.0**10, 2.0**-20, 2.0**-100]


@pytest.fixture(scope="module")
def content(student):
    return convert(student(scope="all"), (8, 8))


def with_scale(index, scale):
    def change(model):
        quantization = model.subgraphs[0].tensors[index].quantization
        quantization.scale = [scale] * len(quantization.scale)

    return change


def test_no_scale_ends_the_process(content, repacked, tmp_path):
    quantized = [i for i, tensor in enumerate(read_file(content).tensors) if tensor.scales]
    refused, paths = 0, []
    for index in quantized:
        for scale in SCALES:
            broken = repacked(content, with_scale(index, scale))
            try:
                read_file(broken)
            except InputError:
                refused += 1
            else:
                paths.append(tmp_path / f"{index}_{scale}.tflite")
                paths[-1].write_bytes(broken)
    assert refused >= 5 * len(quantized)
    assert len(paths) > len(quantized)
    child = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stdout.splitlines()[-1]
    assert len(child.stdout.splitlines()) == len(paths)


@pytest.mark.parametrize("read", [read_file, inspect, ImageInterpreter])
def test_a_bad_scale_is_named_by_every_reader(content, repacked, read):
    names = [tensor.name for tensor in read_file(content).tensors]
    broken = repacked(content, with_scale(names.index("lr"), float("nan")))
    with pytest.raises(InputError, match="the file: tensor 'lr' has the scale nan"):
        read(broken)


@pytest.mark.parametrize("operator", ["ADD", "CONV_2D", "QUANTIZE"])
def test_a_tensor_that_is_computed_with_needs_a_scale(content, repacked, operator):
    info = read_file(content)
    index = next(found for found in info.graph if found.name == operator).outputs[0]

    def change(model):
        model.subgraphs[0].tensors[index].quantization = None

    with pytest.raises(InputError, match=f"of its {operator} is int8 without a scale"):
        read_file(repacked(content, change))


def test_scales_too_far_apart_to_add(content, repacked):
    info = read_file(content)
    index = next(found for found in info.graph if found.name == "ADD").outputs[0]
    with pytest.raises(InputError, match=r"\(ADD\) are .* too far apart"):
        read_file(repacked(content, with_scale(index, 1e-12)))


def test_an_operator_without_its_tensor(content, repacked):
    def change(model):
        operators = model.subgraphs[0].operators
        next(found for found in operators if len(found.inputs) == 3).inputs = [0, -1, -1]

    with pytest.raises(InputError, match="its CONV_2D lacks a tensor"):
        read_file(repacked(content, change))


@pytest.mark.parametrize("role", ["inputs", "outputs"])
@pytest.mark.parametrize("index", [-1, 10**6])
def test_images_that_are_not_there(content, repacked, role, index):
    with pytest.raises(InputError, match="truncated or corrupt"):
        read_file(repacked(content, lambda model: setattr(model.subgraphs[0], role, [index])))
