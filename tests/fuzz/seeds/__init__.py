"""Small files of every kind that a reader accepts, and those that once did harm.

They are made here, or stored for other tests: tests/data/hostile, reference and first-edition.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fuzz.cases import Case

DATA = Path(__file__).parents[2] / "data"
HOSTILE, FIRST = DATA / "hostile", DATA / "first-edition"
NUM = 6  # images of datasets
LATENT_SIZE = 8


def files(*paths: Path | str, folder: Path = Path()) -> Case:
    """The content of files by their names below a folder."""
    return {str(path): (folder / path).read_bytes() for path in paths}


def named(name: str, *contents: bytes) -> list[Case]:
    """One case per content, all under one name."""
    return [{name: content} for content in contents]


def below(folder: str, case: Mapping[str, Any]) -> Case:
    """A case in a folder of its own."""
    return {f"{folder}/{name}": content for name, content in case.items()}
