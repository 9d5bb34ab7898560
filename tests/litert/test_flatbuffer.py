"""The checks on a finished file name the offender; broken files are told apart."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from pams_tf import InputError
from pams_tf.evaluation.upscaler import tflite_upscale
from pams_tf.export.converter import convert
from pams_tf.export.variants import convert_float
from pams_tf.litert import metadata, packing
from pams_tf.litert.checks import check_alphas, check_integer, check_weight_codes
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert.summary import inspect


@pytest.fixture(scope="module")
def content(student):
    return convert(student(scope="all"), (8, 8))


def test_a_good_file_passes(content, repacked):
    check_integer(content)
    check_integer(repacked(content, lambda model: None))


def test_a_float_tensor_is_named(content, student, repacked):
    def loosen(model):
        model.subgraphs[0].tensors[3].type = schema.TensorType.FLOAT32
        model.subgraphs[0].tensors[3].name = b"offender"

    with pytest.raises(InputError, match="tensor 'offender' is float32"):
        check_integer(repacked(content, loosen))
    with pytest.raises(InputError, match="is float32"):
        check_integer(convert_float(student(), (8, 8)))


def test_a_custom_operator_is_named(content, repacked):
    def customize(model):
        code = model.operatorCodes[model.subgraphs[0].operators[0].opcodeIndex]
        code.builtinCode = schema.BuiltinOperator.CUSTOM
        code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"FlexConv"

    with pytest.raises(InputError, match="not built in: CUSTOM FlexConv"):
        check_integer(repacked(content, customize))


def test_a_missing_alpha_is_named(content):
    scale = next(
        t.scales[0]
        for t in read_file(content).tensors
        if t.zero_points == (0,) and t.dtype == "int8" and len(t.shape) == 4
    )
    check_alphas(content, {"there": float(scale)})
    neighbour = float(np.nextafter(scale, np.float32(2)))
    with pytest.raises(InputError, match="of block_7_relu"):
        check_alphas(content, {"there": float(scale), "block_7_relu": neighbour})


def test_broken_files(content, tmp_path):
    with pytest.raises(InputError, match=r"none\.tflite: cannot be read"):
        read_file(tmp_path / "none.tflite")
    (tmp_path / "picture.tflite").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(InputError, match=r"picture\.tflite: not a TensorFlow Lite file"):
        read_file(tmp_path / "picture.tflite")
    (tmp_path / "cut.tflite").write_bytes(content[: len(content) // 3])
    with pytest.raises(InputError, match=r"cut\.tflite: truncated or corrupt"):
        read_file(tmp_path / "cut.tflite")
    (tmp_path / "whole.tflite").write_bytes(content)
    assert read_file(tmp_path / "whole.tflite") == read_file(content)


def behind_the_flatbuffer(content, size=None):
    """The same file with its constants behind the flatbuffer, where litert-quantizer puts them.

    With a size, each says that it has that one.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    constants = [(b, bytes(bytearray(b.data))) for b in model.buffers if b.data is not None]

    start = 16  # a placeholder: what a place is does not change how long the flatbuffer gets
    for _ in range(2):
        end = start
        for buffer, data in constants:
            buffer.data, buffer.offset, buffer.size = None, end, size or len(data)
            end += -(-len(data) // 16) * 16
        builder = flatbuffers.Builder(0)
        builder.Finish(model.Pack(builder), b"TFL3")
        flat = bytes(builder.Output())
        start = -(-len(flat) // 16) * 16
    return flat.ljust(start, b"\0") + b"".join(
        data.ljust(-(-len(data) // 16) * 16, b"\0") for _, data in constants
    )


def test_constants_behind_the_flatbuffer(content, photo):
    moved = behind_the_flatbuffer(content)
    assert read_file(moved) == read_file(content)
    assert read_file(packing.repacked(moved, lambda model: None)) == read_file(content)
    image = photo(8, 8)
    np.testing.assert_array_equal(tflite_upscale(moved)(image), tflite_upscale(content)(image))
    with pytest.raises(InputError, match="truncated or corrupt"):
        read_file(moved[:-100])
    with pytest.raises(InputError, match="truncated or corrupt"):
        read_file(behind_the_flatbuffer(content, size=len(content) // 2))


def test_a_kernel_beyond_its_bits_is_named(student, repacked):
    content = convert(student(bits=4, scope="all"), (8, 8))
    largest = {name: 7 for name in metadata.read(content)["sites"] if name.startswith("block")}
    assert check_weight_codes(content, largest) == 4  # two blocks of two
    kept = inspect(content).checks[-1]
    assert (kept.kept, kept.detail) == (True, "4 kernels")
    info = read_file(content)
    (target,) = (op for op in info.graph if "block_1_relu/" in info.tensors[op.outputs[0]].name)

    def widen(model):
        tensor = model.subgraphs[0].tensors[target.inputs[1]]
        data = bytearray(bytes(model.buffers[tensor.buffer].data))
        data[0] = 256 - 9
        model.buffers[tensor.buffer].data = list(data)

    broken = repacked(content, widen)
    with pytest.raises(InputError, match=r"before block_1_relu has a code of 9, beyond \+-7"):
        check_weight_codes(broken, largest)
    assert inspect(broken).checks[-1].kept is False
