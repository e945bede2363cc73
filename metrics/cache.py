"""Statistics of reference sets, kept between processes under the hash of what they follow from."""

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np

from pgtf import images


def default_folder():
    """$XDG_CACHE_HOME/pgtf/metrics, normally ~/.cache/pgtf/metrics."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "pgtf" / "metrics"


class Cache:
    """Arrays by key, one npz file each. A damaged file counts as absent.

    Args:
        folder: where the files are; made when needed.
    """

    def __init__(self, folder):
        self._folder = Path(folder)

    def load(self, **key):
        """The arrays stored under a key, or None."""
        try:
            with np.load(self._path(key), allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None

    def save(self, arrays, **key):
        """Stores arrays under a key; the file appears whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        images.write_atomically(self._path(key), buffer.getvalue())

    def _path(self, key):
        text = json.dumps(key, sort_keys=True)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"
