"""Statistics of reference sets, kept between processes under the hash of what they follow from."""

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np

from pgtf import images

_DIGEST_BYTES = hashlib.sha256().digest_size


def default_folder():
    """$XDG_CACHE_HOME/pgtf/metrics, normally ~/.cache/pgtf/metrics."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "pgtf" / "metrics"


class Cache:
    """Arrays by key, a file each: the SHA-256 of an npz file, then that file.

    A file that was damaged, wherever, counts as absent.

    Args:
        folder: where the files are; made when needed.
    """

    def __init__(self, folder):
        self._folder = Path(folder)

    def load(self, **key):
        """The arrays stored under a key, or None."""
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if digest != hashlib.sha256(content).digest():
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return dict(file)

    def save(self, arrays, **key):
        """Stores arrays under a key; the file appears whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
        images.write_atomically(self._path(key), hashlib.sha256(content).digest() + content)

    def _path(self, key):
        text = json.dumps(key, sort_keys=True)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.cache"
