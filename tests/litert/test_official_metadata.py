"""TensorFlow Lite's own metadata and stable tensor names, read by means that did not write them."""

import flatbuffers
import numpy as np
import pytest
from flatbuffers.number_types import UOffsetTFlags

from pams_tf.export.converter import convert
from pams_tf.export.variants import convert_float, convert_ptq
from pams_tf.litert.flatbuffer import read_file
from pams_tf.litert.official_metadata import IDENTIFIER, NAME


class Table:
    """A flatbuffer table read by slots: what the public schema numbers, nothing of the writer."""

    def __init__(self, data, position=None):
        position = UOffsetTFlags.py_type(np.frombuffer(data, np.uint32, 1)[0] if position is None
                                         else position)  # fmt: skip
        self.table = flatbuffers.table.Table(bytearray(data), position)

    def _offset(self, slot):
        return self.table.Offset(4 + 2 * slot)

    def text(self, slot):
        offset = self._offset(slot)
        return self.table.String(offset + self.table.Pos).decode() if offset else None

    def number(self, slot, flags):
        offset = self._offset(slot)
        return self.table.Get(flags, offset + self.table.Pos) if offset else 0

    def child(self, slot):
        offset = self._offset(slot)
        return Table(self.table.Bytes, self.table.Indirect(offset + self.table.Pos))

    def children(self, slot):
        offset = self._offset(slot)
        first = self.table.Vector(offset)
        return [
            Table(self.table.Bytes, self.table.Indirect(first + 4 * index))
            for index in range(self.table.VectorLen(offset))
        ]

    def floats(self, slot):
        offset = self._offset(slot)
        first, count = self.table.Vector(offset), self.table.VectorLen(offset)
        return np.frombuffer(bytes(self.table.Bytes), np.float32, count, first).tolist()


def test_what_other_tools_read_of_a_file(student):
    content = convert(student(scope="all"), (8, 8), author="Ada", license="CC0-1.0")
    data = read_file(content).metadata[NAME]
    assert data[4:8] == IDENTIFIER == b"M001"
    model = Table(data)
    assert model.text(0) == "edsr_mobile x2, 8 bits"
    assert (model.text(4), model.text(5), model.text(7)) == ("Ada", "CC0-1.0", "1.0.0")
    (graph,) = model.children(3)
    for slot, name in ((2, "lr"), (3, "sr")):
        (tensor,) = graph.children(slot)
        assert tensor.text(0) == name
        content_of = tensor.child(3)
        assert content_of.number(0, flatbuffers.number_types.Uint8Flags) == 2  # an image
        assert content_of.child(1).number(0, flatbuffers.number_types.Int8Flags) == 1  # RGB
        (unit,) = tensor.children(4)
        assert unit.number(0, flatbuffers.number_types.Uint8Flags) == 1  # normalization
        assert (unit.child(1).floats(0), unit.child(1).floats(1)) == ([0.0], [1.0])
        assert (tensor.child(5).floats(0), tensor.child(5).floats(1)) == ([255.0], [0.0])


def test_author_and_licence_are_left_out_where_nobody_gave_them(student):
    model = Table(read_file(convert(student(scope="all"), (8, 8))).metadata[NAME])
    assert (model.text(4), model.text(5)) == (None, None)


@pytest.mark.parametrize("io_dtype", ["int8", "uint8", "float32"])
@pytest.mark.parametrize("target", ["cpu", "npu", "ethos-u85"])
def test_input_and_output_have_the_same_names_in_every_form(student, target, io_dtype):
    info = read_file(convert(student(scope="all"), (8, 8), target=target, io_dtype=io_dtype))
    assert [tensor.name for tensor in info.io_tensors] == ["lr", "sr"]
    assert [tensor.name for tensor in info.tensors].count("sr") == 1


def test_comparison_files_have_these_names_too(student, images):
    network = student()
    for content in (
        convert_float(network, (8, 8)),
        convert_float(network, (8, 8), half=True),
        convert_ptq(network, (8, 8), [images]),
    ):
        assert [tensor.name for tensor in read_file(content).io_tensors] == ["lr", "sr"]
