"""Statistics of reference sets, kept between processes under a hash of their origin."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pgtf import files
from pgtf.foreign.arrays import read_npz

_DIGEST_BYTES = hashlib.sha256().digest_size


def default_folder() -> Path:
    """$XDG_CACHE_HOME/pgtf/metrics, normally ~/.cache/pgtf/metrics."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "pgtf" / "metrics"


class Cache:
    """Arrays by key, in one file per key: the SHA-256 of an npz file, then that file.

    A damaged file counts as absent.

    Args:
        folder: folder of the files; created when needed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)

    def load(self, **key: Any) -> dict[str, np.ndarray] | None:
        """Returns the arrays stored under a key, or None."""
        try:
            content = files.read_at_once(self._path(key))
        except OSError:
            return None
        digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if digest != hashlib.sha256(content).digest():
            return None
        try:
            return read_npz(io.BytesIO(content), str(self._path(key)))
        except ValueError:
            return None

    def save(self, arrays: Mapping[str, np.ndarray], **key: Any) -> None:
        """Stores arrays under a key; the file appears whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        named: dict[str, Any] = dict(arrays)
        np.savez(buffer, **named)
        content = buffer.getvalue()
        files.write_atomically(self._path(key), hashlib.sha256(content).digest() + content)

    def _path(self, key: Mapping[str, Any]) -> Path:
        text = json.dumps(key, sort_keys=True)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.cache"
