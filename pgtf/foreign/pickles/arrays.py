"""Builds NumPy's dtypes, arrays and numbers from what a pickle stores of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from pgtf.foreign.pickles.instructions import DamagedError, PickleError

_MAX_RANK = 32  # NumPy's own limit before version 2
_MAX_SIZE = 2**31  # of one dimension; an array in a file of this kind is far smaller
_ARRAY_BYTES = 512  # of an array itself, at most
_DTYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")


def number_type(name: str) -> str:
    """Returns a dtype's name without byte order: "<f4" -> "f4". PickleError unless of numbers."""
    if len(name) > 3 or not (found := _DTYPE.fullmatch(name)):
        raise PickleError(f"refused dtype {name[:80]!r}: only numbers are read.")
    return found[1]


def dtype_from(name: str, order: str) -> np.dtype[Any]:
    """Makes a dtype of a name without byte order, and the byte order."""
    if order not in ("<", ">", "=", "|"):
        raise DamagedError("a dtype of another byte order")
    return np.dtype(name).newbyteorder(cast(Any, order))


def array_from(
    data: Any, dtype: np.dtype[Any], shape: Any, order: Any, spend: Callable[[int], None]
) -> np.ndarray:
    """Makes an array from stored bytes; Python 2 pickles hold them as Latin-1 text.

    Args:
        data: bytes, bytearray or text.
        dtype, shape, order: of the array; the shape has as many values as the data.
        spend: is called with the number of bytes before any are created.

    Raises:
        PickleError: if one of them is something else, or they do not fit.
    """
    if not isinstance(data, bytes | bytearray | str) or not isinstance(shape, tuple):
        raise DamagedError("an array without bytes or shape")
    if order not in ("C", "F") or dtype.itemsize * _num_values(shape, len(data)) != len(data):
        raise DamagedError(f"{len(data)} bytes for an array of another shape")
    spend(_ARRAY_BYTES)
    if isinstance(data, str):
        data = latin1_bytes(data, spend)
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def latin1_bytes(text: str, spend: Callable[[int], None]) -> bytes:
    """Encodes text that holds bytes; PickleError for other text."""
    spend(len(text))
    try:
        return text.encode("latin1")
    except UnicodeEncodeError:
        raise DamagedError("text in place of bytes") from None


def _num_values(shape: tuple[Any, ...], limit: int) -> int:
    """Returns the product of a shape, which is at most `limit`."""
    if len(shape) > _MAX_RANK:
        raise DamagedError(f"an array of {len(shape)} dimensions")
    product = 1
    for size in shape:
        if type(size) is not int or not 0 <= size < _MAX_SIZE:
            raise DamagedError("an array of impossible shape")
        # Without the zeros, because NumPy refuses an empty array whose other sizes overflow.
        product *= max(size, 1)
        if product > max(limit, _MAX_SIZE):
            raise DamagedError("an array of impossible shape")
    return 0 if 0 in shape else product
