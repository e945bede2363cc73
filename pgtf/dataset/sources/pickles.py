"""Reads pickled arrays without executing anything: only globals that arrays need are found."""

from __future__ import annotations

import pickle
from typing import IO, Any

import numpy as np


def load_arrays(file: IO[bytes], path: str) -> Any:
    """Unpickles lists, dictionaries, strings, numbers and arrays.

    Raises:
        ValueError: the pickle holds anything else, or is damaged; none of it was executed.
    """
    try:
        # latin1: Python 2 wrote the bytes of arrays as strings.
        return _ArrayUnpickler(file, encoding="latin1").load()
    except Exception as error:  # A damaged pickle raises nearly anything.
        what = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: not a pickle of arrays ({what}).") from error


def _reconstruct(kind: type, shape: Any, dtype: Any) -> np.ndarray:
    """Stands for NumPy's function: an empty array, which the pickle's state fills."""
    return np.ndarray((0,), np.uint8)


def _frombuffer(buffer: Any, dtype: np.dtype[Any], shape: Any, order: str) -> np.ndarray:
    """Rebuilds an array of protocol 5."""
    return np.frombuffer(buffer, dtype).reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: np.dtype[Any], data: bytes) -> Any:
    return np.frombuffer(data, dtype)[0]


def _encode(text: str, encoding: str) -> bytes:
    """Rebuilds bytes that a newer Python wrote for an older one."""
    return text.encode("latin1")


# Globals that a pickle may name -> the object used for each.
ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
} | {
    (f"numpy.{core}.{module}", function.__name__.lstrip(strip)): function
    for core in ("core", "_core")
    for module, strip, function in (
        ("multiarray", "", _reconstruct),
        ("multiarray", "_", _scalar),
        ("numeric", "", _frombuffer),
    )
}


class _ArrayUnpickler(pickle.Unpickler):
    """Refuses every global but those that rebuild NumPy arrays and bytes."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns the object for a global; called by `pickle.Unpickler`."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which arrays do not need")
        return ALLOWED[module, name]
