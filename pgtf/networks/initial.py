"""Initial weights: normal values, or zeros where others will be loaded in their place."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import keras

_are_random = contextvars.ContextVar("initial weights are random", default=True)


@contextlib.contextmanager
def zero_weights() -> Iterator[None]:
    """Context manager: networks built inside have weights of zeros, for those to be loaded.

    Sampling the weights of one network of 1024x1024 takes half a second of CPU time.
    """
    token = _are_random.set(False)
    try:
        yield
    finally:
        _are_random.reset(token)


def normal(stddev: float, seed: int | None) -> Any:
    """Creates the initializer of a weight: normal values, or zeros inside `zero_weights`."""
    if not _are_random.get():
        return keras.initializers.Zeros()
    return keras.initializers.RandomNormal(stddev=stddev, seed=seed)
