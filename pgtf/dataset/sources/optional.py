"""Packages that one command each needs."""

from __future__ import annotations

import importlib
from typing import Any


def import_optional(module: str, package: str) -> Any:
    """Imports a module, or says in one line what to install.

    Raises:
        ValueError: it is not installed, or does not work here.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"This needs the package {package} ({error}). Install it: pip install {package}"
        ) from error
