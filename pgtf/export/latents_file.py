"""Reads latents from .npy and .npz files, which may come from anybody.

The header is compared with the network and with the file before anything is allocated or
decompressed. Nothing is unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from pgtf.files import errors_that_name
from pgtf.foreign import arrays
from pgtf.foreign.files import open_regular, size_of
from pgtf.foreign.messages import shown
from pgtf.installation import spelled

MAX_BYTES = 2**30  # an array may have: 500,000 vectors of 512 float32 values
MAX_INFLATED_BYTES = 2**28  # a compressed array may have
MAX_NAMES = 8  # arrays that an error lists
LATENTS, LABELS, STYLEGAN_W = "latents", "labels", "w"
FLOATS = "f"


def read_latents(
    path: str | os.PathLike[str], latent_size: int, label_size: int, normalized: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads latent vectors, and the labels that an .npz file may have for them.

    Args:
        path: an .npy file; or an .npz file with one array, or with one named `latents`, and
            perhaps with one named `labels`, as generate.py project writes.
        latent_size: length of a latent vector of the network.
        label_size: number of label columns of the network.
        normalized: if the network normalizes latents; vectors of zeros are refused then.

    Returns:
        float32 latents [N, latent_size], and labels [N, label_size] or None.

    Raises:
        ValueError: it is no such file, or does not fit the network.
        OSError: it cannot be read.
    """
    source = os.fspath(path) or os.curdir
    latents, labels = _read(source, latent_size, label_size)
    if normalized and not latents.any(axis=1).all():
        row = int(latents.any(axis=1).argmin())
        raise ValueError(f"{source}: latent vector {row} is all zeros, which is no direction.")
    return latents, labels


def _read(source: str, latent_size: int, label_size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads a file of either kind, which its first bytes tell."""
    with errors_that_name(source), open_regular(source) as file:
        size, start = size_of(file), file.read(4)
        file.seek(0)
        if start == arrays.MAGIC[:4]:
            check = _Check(source, "the array", latent_size, MAX_BYTES)
            return check.rows(arrays.read_array(file, size, source, FLOATS, check)), None
        if not start.startswith(b"PK"):
            raise ValueError(
                f"{source}: must be an .npy or .npz file, as numpy.save and "
                f"{spelled('generate.py project')} write. Received: one that begins with {start!r}."
            )
        with arrays.open_npz(file, source) as archive:

            def read(name: str, num_columns: int) -> np.ndarray:
                max_bytes = MAX_INFLATED_BYTES if archive.is_compressed(name) else MAX_BYTES
                check = _Check(source, f"array `{name}`", num_columns, max_bytes)
                return check.rows(archive.read(name, FLOATS, check))

            latents = read(_name_of_latents(source, archive.names), latent_size)
            if LABELS not in archive.names:
                return latents, None
            if not label_size:
                raise ValueError(f"{source}: holds labels, and this network has none.")
            labels = read(LABELS, label_size)
    if len(labels) != len(latents):
        raise ValueError(
            f"{source}: array `labels` must have a row per latent vector, {len(latents)}. "
            f"Received: {len(labels)}."
        )
    return latents, labels


def _name_of_latents(source: str, names: Sequence[str]) -> str:
    """Chooses `latents`, or the only array beside `labels`."""
    others = [name for name in names if name != LABELS]
    if LATENTS in names:
        return LATENTS
    if len(others) == 1 and others[0] != STYLEGAN_W:
        return others[0]
    listed = ", ".join(shown(name[:32]) for name in names[:MAX_NAMES])
    hint = " (`w` of StyleGAN is another space)" if STYLEGAN_W in names else ""
    raise ValueError(
        f"{source}: must hold one array, or one named `latents`{hint}. "
        f"Received: {len(names)} ({listed})."
    )


class _Check:
    """Compares an array with the network: its header before it is read, and its numbers."""

    def __init__(self, source: str, name: str, num_columns: int, max_bytes: int) -> None:
        self._source, self._name = source, name
        self._num_columns, self._max_bytes = num_columns, max_bytes

    def __call__(self, header: arrays.Header) -> None:
        """Raises ValueError for a shape that does not fit."""
        shape, n = header.shape, self._num_columns
        if len(shape) not in (1, 2) or shape[-1] != n or 0 in shape:
            raise ValueError(
                f"{self._source}: {self._name} must be [N, {n}] or [{n}], as the network's. "
                f"Received: {str(list(shape))[:80]}."
            )
        if header.num_bytes > self._max_bytes:
            raise ValueError(
                f"{self._source}: {self._name} must have at most {self._max_bytes} bytes. "
                f"Received: {header.num_bytes}."
            )

    def rows(self, values: np.ndarray) -> np.ndarray:
        """Converts to float32 [N, columns]; ValueError unless all are finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            rows = values.astype(np.float32, "C", copy=False).reshape(-1, self._num_columns)
        bad = ~np.isfinite(rows).all(axis=1)
        if bad.any():
            raise ValueError(
                f"{self._source}: {self._name} must be finite float32 numbers. "
                f"Received: NaN, infinity or more in row {int(bad.argmax())}."
            )
        return rows
