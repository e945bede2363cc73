"""Numbers that others wrote: none is used before it is compared with a range."""

from __future__ import annotations

import math
from typing import Any

MAX_INTEGER = 2**63 - 1  # NumPy's and TensorFlow's largest
MAX_REAL = 1e300  # Products with units stay finite.


def integer(value: Any, low: int = -MAX_INTEGER, high: int = MAX_INTEGER) -> int | None:
    """Returns an integer in low ... high; None for anything else, truth values among it."""
    if type(value) is not int or not low <= value <= high:
        return None
    return value


def real(
    value: Any, low: float = -MAX_REAL, high: float = MAX_REAL, finite: bool = True
) -> float | None:
    """Returns a number in low ... high as a float; None for anything else.

    Args:
        value: anything.
        low: least value.
        high: largest value.
        finite: False = NaN and both infinities are accepted besides.
    """
    if type(value) not in (int, float):
        return None
    if not finite and isinstance(value, float) and not math.isfinite(value):
        return value
    return float(value) if low <= value <= high else None  # False for NaN


def is_number(text: str) -> bool:
    """True if a text is a number as Python writes it, NaN and infinity included."""
    try:
        float(text)
    except ValueError:
        return False
    return True
