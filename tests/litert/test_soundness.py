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


# --- Operators that our own files do not have ----------------------------------------------------


@pytest.fixture(scope="module")
def varied():
    """An int8 file of many operators, (1, 8, 8, 3) -> (1, 16, 16, 3)."""
    import tensorflow as tf

    rng = np.random.default_rng(1)

    def kernel(*shape):
        return rng.normal(size=shape).astype(np.float32) / 10

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32)])
    def forward(image):
        wide = tf.nn.conv2d(image, kernel(3, 3, 3, 6), 1, "SAME")
        first, second = tf.split(wide, 2, 3)
        joined = tf.concat([tf.nn.relu(first), second], 3)
        spread = tf.nn.depthwise_conv2d(joined, kernel(3, 3, 6, 1), (1, 1, 1, 1), "SAME")
        padded = tf.pad(spread, ((0, 0), (1, 1), (1, 1), (0, 0)))[:, 1:-1, 1:-1]
        return tf.nn.conv2d_transpose(padded, kernel(2, 2, 3, 6), (1, 16, 16, 3), 2, "SAME")

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [forward.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    images = rng.uniform(0, 255, (2, 1, 8, 8, 3)).astype(np.float32)
    converter.representative_dataset = lambda: [[image] for image in images]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    return converter.convert()


def operator(content, name):
    """The position of the first operator of this name, and its tensors."""
    graph = read_file(content).graph
    return next((place, found) for place, found in enumerate(graph) if found.name == name)


def test_the_varied_file_is_sound(varied):
    assert ImageInterpreter(varied).run(np.zeros((8, 8, 3), np.uint8)).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("name", "place"),
    [("TRANSPOSE_CONV", 2), ("CONCATENATION", 1), ("DEPTHWISE_CONV_2D", 0), ("RELU", 0)],
)
def test_every_input_that_matters_needs_a_scale(varied, repacked, name, place):
    index = operator(varied, name)[1].inputs[place]

    def change(model):
        model.subgraphs[0].tensors[index].quantization = None

    with pytest.raises(InputError, match=r"is int8 without a scale"):
        read_file(repacked(varied, change))


@pytest.mark.parametrize("zero_point", [300, -129, 2**31 - 1])
def test_a_zero_point_is_a_code_of_its_tensor(varied, repacked, zero_point):
    index = operator(varied, "CONCATENATION")[1].outputs[0]

    def change(model):
        model.subgraphs[0].tensors[index].quantization.zeroPoint = [zero_point]

    with pytest.raises(InputError, match=f"has the zero point {zero_point}, which is no code"):
        read_file(repacked(varied, change))


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("STRIDED_SLICE", "inputs", lambda tensors: tensors[:2]),
        ("STRIDED_SLICE", "inputs", lambda tensors: [*tensors[:3], -1]),
        ("SPLIT", "inputs", lambda tensors: [-1, *tensors[1:]]),
        ("SPLIT", "outputs", lambda tensors: tensors[:1]),
        ("CONCATENATION", "inputs", lambda tensors: [tensors[0], -1]),
        ("DEPTHWISE_CONV_2D", "inputs", lambda tensors: tensors[:2]),
        ("TRANSPOSE_CONV", "inputs", lambda tensors: tensors[:2]),
        ("PAD", "outputs", lambda tensors: [-1]),
    ],
)
def test_operators_lack_a_tensor(varied, repacked, name, field, value):
    place, found = operator(varied, name)

    def change(model):
        setattr(model.subgraphs[0].operators[place], field, value([*getattr(found, field)]))

    with pytest.raises(InputError, match=f"its {name} lacks a tensor|before it is computed"):
        read_file(repacked(varied, change))


def test_the_order_of_operators(varied, repacked):
    def reverse(model):
        model.subgraphs[0].operators.reverse()

    def remove(model):
        del model.subgraphs[0].operators[:]

    def overwrite(model):
        model.subgraphs[0].operators[1].outputs = list(model.subgraphs[0].inputs)

    for change, message in (
        (reverse, "before it is computed"),
        (remove, "no operator computes its output"),
        (overwrite, "which has its values already"),
    ):
        with pytest.raises(InputError, match=message):
            read_file(repacked(varied, change))


def test_scales_too_far_apart_to_convolve(varied, repacked):
    index = operator(varied, "TRANSPOSE_CONV")[1].inputs[1]
    with pytest.raises(InputError, match=r"\(TRANSPOSE_CONV\) are .* too far apart"):
        read_file(repacked(varied, with_scale(index, 2.0**20)))
