"""What a PyTorch file would import when it is opened, told from its opcodes, none of which runs."""

import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pams_tf.errors import InputError

# Of torch and collections, what a state_dict consists of; PyTorch's own list is longer.
_WEIGHTS = re.compile(
    r"collections\.OrderedDict|(builtins|__builtin__)\.set"
    r"|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2"
    r"|torch\.\w*Storage|torch\.storage\.\w+|torch\.serialization\._get_layout"
    r"|torch\.(Size|device|dtype|Tensor|b?float\d+|bfloat16|u?int\d+|bool)"
    r"|torch\.nn\.parameter\.\w+"
)
_LEGACY_PICKLES = 5  # magic number, protocol, system, the object itself, the storages' keys


def foreign_names(path: Path) -> list[str]:
    """The names, "module.name", that a PyTorch file imports besides those of tensors; sorted.

    Raises:
      InputError: it is no PyTorch file, or a TorchScript program.
    """
    try:
        if not zipfile.is_zipfile(path):  # the format before PyTorch 1.6
            with path.open("rb") as file:
                found = set().union(*(_names(file) for _ in range(_LEGACY_PICKLES)))
        else:
            with zipfile.ZipFile(path) as archive:
                members = archive.namelist()
                if any(name.endswith("/constants.pkl") for name in members):
                    raise InputError(
                        f"{path}: is a TorchScript program; save its weights alone: "
                        "torch.save(model.state_dict(), 'weights.pth')"
                    )
                data = next(name for name in members if name.endswith("data.pkl"))
                with archive.open(data) as file:
                    found = set(_names(file))
    except InputError:
        raise
    except Exception as error:  # of a damaged file, zipfile and pickletools raise anything
        raise InputError(f"{path}: not a PyTorch checkpoint") from error
    return sorted(name for name in found if not _WEIGHTS.fullmatch(name))


def _names(file: IO[bytes]) -> Iterator[str]:
    """What one pickle imports; the file is then behind it."""
    memo: list[str] = []
    pushed = ["", ""]  # the last two strings; protocol 4 takes module and name from the stack
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "GLOBAL":
            yield str(argument).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(pushed)
        elif opcode.name == "MEMOIZE":
            memo.append(pushed[-1])
        elif opcode.name in ("BINGET", "LONG_BINGET") and isinstance(argument, int):
            pushed = [pushed[-1], *memo[argument : argument + 1]][-2:]
        elif isinstance(argument, str):
            pushed = [pushed[-1], argument]
