"""Packages that only some commands need."""

from __future__ import annotations

import importlib
from typing import Any


def import_optional(module: str, package: str) -> Any:
    """Imports a module; if that fails, names the package to install.

    Raises:
        ValueError: the package is not installed, or does not work here.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"This needs the package {package} ({error}). Install it: pip install {package}"
        ) from error
