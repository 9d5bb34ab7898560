"""PyTorch files written without PyTorch: the pickle opcodes of a state_dict, by hand."""

import pickle
import struct
import zipfile


def write_pth(path, tensors, prefix=b"", storage="FloatStorage", protocol=2):
    """A state_dict of float32 arrays in the zip format; `prefix` is put before it, and dropped.

    The same opcodes as torch.save's, but for the memo, which a reader does not need.
    """
    items = []
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, array) in enumerate(tensors.items()):
            archive.writestr(f"archive/data/{number}", array.tobytes())
            steps = [1]
            for length in array.shape[:0:-1]:
                steps.insert(0, steps[0] * length)
            items += [
                _text(name),
                b"ctorch._utils\n_rebuild_tensor_v2\n((",
                _text("storage"),
                f"ctorch\n{storage}\n".encode(),
                _text(str(number)),
                _text("cpu"),
                _integer(array.size),
                b"tQ",  # the tuple is a persistent id
                _integer(0),
                *(b"(", *map(_integer, array.shape), b"t"),
                *(b"(", *map(_integer, steps[: array.ndim]), b"t"),
                b"\x89",  # requires no gradient
                b"ccollections\nOrderedDict\n)R",  # no hooks
                b"tR",
            ]
        content = b"".join((b"\x80", bytes([protocol]), prefix, b"}(", *items, b"u."))
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")


def write_legacy(path, content):
    """The format before PyTorch 1.6 around one pickled object, without storages."""
    head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    parts = [pickle.dumps(part, protocol=2) for part in head]
    path.write_bytes(b"".join((*parts, content, pickle.dumps([], protocol=2))))


def global_opcode(module, name):
    """Imports a name, and drops it again."""
    return f"c{module}\n{name}\n0".encode()


def stacked_global(module, name):
    """The same in protocol 4, where both are strings on the stack and may come from the memo."""
    return (
        _short(module)
        + b"\x94"
        + _short("other")
        + b"\x94"
        + b"0h\x00"
        + _short(name)
        + b"\x930"
        + b"0"
    )


def _short(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


def _text(text):
    encoded = text.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _integer(value):
    return b"J" + struct.pack("<i", value)
