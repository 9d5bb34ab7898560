"""Integer facts about quantization grids: qmin and qmax of a bit width. No dependencies."""


def signed_qmax(bits: int) -> int:
    """The largest code of a symmetric signed grid: 2**(bits - 1) - 1, for example 127 at 8 bits.

    Raises:
      ValueError: `bits` is not a whole number from 2 to 16.
    """
    return (unsigned_qmax(bits) - 1) // 2


def unsigned_qmax(bits: int) -> int:
    """The largest code of an unsigned grid: 2**bits - 1, for example 255 at 8 bits.

    Raises:
      ValueError: `bits` is not a whole number from 2 to 16.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 16:
        raise ValueError(f"bits={bits!r} is not possible; choose a whole number from 2 to 16")
    return 2**bits - 1


def qrange(bits: int, *, unsigned: bool = False, full_range: bool = False) -> tuple[int, int]:
    """(qmin, qmax) of a grid on which code c means the value c * scale.

    Args:
      bits: 2 to 16.
      unsigned: (0, 2**bits - 1) instead of the signed (-n, n) with n = 2**(bits - 1) - 1.
      full_range: (-n - 1, n): every code of a signed integer, including the lowest.

    Raises:
      ValueError: `bits` is out of range, or `unsigned` and `full_range` are both set.
    """
    if unsigned and full_range:
        raise ValueError("unsigned=True and full_range=True exclude each other; choose one")
    if unsigned:
        return 0, unsigned_qmax(bits)
    return -signed_qmax(bits) - full_range, signed_qmax(bits)
