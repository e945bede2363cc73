"""Latents as the flags of generate.py describe them, sampled when they are read."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from pgtf import networks
from pgtf.export.latents_file import read_latents

if TYPE_CHECKING:  # The command line checks its flags without TensorFlow.
    from pgtf.networks import Generator

MAX_IMAGES = 1_000_000  # limit for one command
MAX_SEED = 10**18 - 1  # numbers of at most 18 digits
ORIGINAL_NUM = 1000  # latents among which the original's published examples were chosen
BLOCK = 1024  # latents of a random state that are in memory at once


@dataclasses.dataclass(frozen=True)
class Samples:
    """Latent vectors, which are sampled anew each time they are read."""

    prefix: str  # names of their images begin with it
    numbers: np.ndarray  # [N] int64: seeds, positions among those of a random state, or rows
    sample: Callable[[np.ndarray], np.ndarray]  # numbers [n] -> float32 [n, latent_size]
    labels: np.ndarray | None = None  # [N, label_size] of a file, None without
    random_state: int | None = None  # latents are rows of its stream, as in the original
    edit: str | None = None  # directions along which they were turned, such as "smile=0.3"

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def latents(self) -> np.ndarray:
        """All of them at once: [N, latent_size] float32."""
        return self.sample(self.numbers)

    @property
    def names(self) -> Iterator[str]:
        """Yields a name per image, such as seed0007."""
        return (f"{self.prefix}{number:04d}" for number in self.numbers)

    def batches(self, size: int) -> Iterator[Samples]:
        """Yields parts of at most `size` vectors, in order."""
        for begin in range(0, len(self), size):
            part = slice(begin, begin + size)
            labels = None if self.labels is None else self.labels[part]
            yield dataclasses.replace(self, numbers=self.numbers[part], labels=labels)


def from_flags(
    Gs: Generator,
    default_seeds: str,
    seeds: str | None = None,
    random_state: int | None = None,
    num: int | None = None,
    indices: str | None = None,
    latents: str | None = None,
) -> Samples:
    """Finds latents as the flags of these names say: seeds, the original release's, or a file's.

    Raises:
        ValueError: if the flags exclude each other or are malformed.
        OSError: if the file cannot be read.
    """
    check_flags(seeds, random_state, num, indices, latents)
    if latents is not None:
        return from_file(Gs, latents)
    if random_state is not None:
        return from_random_state(Gs.latent_size, random_state, num, indices)
    return from_seeds(Gs.latent_size, default_seeds if seeds is None else seeds)


def check_flags(
    seeds: str | None = None,
    random_state: int | None = None,
    num: int | None = None,
    indices: str | None = None,
    latents: str | None = None,
) -> None:
    """Raises ValueError for flags that no network would make right; see `from_flags`."""
    given = {"--seeds": seeds, "--random_state": random_state, "--latents": latents}
    names = [f"`{name}`" for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise ValueError(f"{' and '.join(names)} exclude each other.")
    if random_state is None and (num is not None or indices is not None):
        raise ValueError("`--num` and `--indices` need `--random_state`.")
    if random_state is not None:
        from_random_state(1, random_state, num, indices)
    if seeds is not None:
        parse_numbers("--seeds", seeds)


def from_seeds(latent_size: int, text: str) -> Samples:
    """Samples the latents of seeds such as "0-63", as every command and the exported model do."""

    def sample(numbers: np.ndarray) -> np.ndarray:
        found: np.ndarray = networks.latents_from_seeds(numbers, latent_size).numpy()
        return found

    return Samples("seed", parse_numbers("--seeds", text), sample)


def from_random_state(
    latent_size: int, random_state: int, num: int | None = None, indices: str | None = None
) -> Samples:
    """Samples latents as the original release does for its published examples.

    Args:
        latent_size: length of a latent vector.
        random_state: seed for NumPy's RandomState.
        num: number of latents; None = 1000.
        indices: text such as "477,56" that chooses among them; None = all.
    """
    num = ORIGINAL_NUM if num is None else num
    if not 1 <= num <= MAX_IMAGES:
        raise ValueError(f"`--num` must be in 1 ... {MAX_IMAGES}. Received: {num}.")
    chosen = np.arange(num) if indices is None else parse_numbers("--indices", indices)
    if chosen.max() >= num:
        raise ValueError(f"`--indices` must be in 0 ... {num - 1}. Received: {indices}.")
    rows = _RandomRows(random_state, latent_size)
    return Samples("index", chosen, rows, random_state=random_state)


def from_file(Gs: Generator, path: str | os.PathLike[str]) -> Samples:
    """Reads the latents of an .npy or .npz file; see `read_latents`."""
    latents, labels = read_latents(
        path, Gs.latent_size, Gs.config.label_size, Gs.config.normalize_latents
    )
    if len(latents) > MAX_IMAGES:
        raise ValueError(f"{path}: must hold at most {MAX_IMAGES} vectors.")
    return from_rows(latents, labels)


def from_rows(latents: np.ndarray, labels: np.ndarray | None = None) -> Samples:
    """Makes samples of latents in memory: [N, latent_size], labels [N, label_size] or None."""
    return Samples("latent", np.arange(len(latents)), lambda numbers: latents[numbers], labels)


class _RandomRows:
    """Rows of `RandomState(random_state).randn(num, latent_size)` for any num, by position.

    Only one block is in memory. Reading an earlier one begins anew.
    """

    def __init__(self, random_state: int, latent_size: int) -> None:
        try:
            np.random.RandomState(random_state)
        except ValueError:
            raise ValueError(
                f"`--random_state` must be in 0 ... {2**32 - 1}. Received: {random_state}."
            ) from None
        self._random_state = random_state
        self._latent_size = latent_size
        self._index = -1  # number of the block in memory

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        rows = np.empty([len(positions), self._latent_size], np.float32)
        blocks = positions // BLOCK
        for index in np.unique(blocks):
            here = blocks == index
            rows[here] = self._block(index)[positions[here] % BLOCK]
        return rows

    def _block(self, index: int) -> np.ndarray:
        if index < self._index or self._index < 0:
            self._stream, self._index = np.random.RandomState(self._random_state), -1
        while self._index < index:
            self._rows = self._stream.randn(BLOCK, self._latent_size)
            self._index += 1
        return self._rows


def parse_numbers(flag: str, text: str) -> np.ndarray:
    """Reads numbers and ranges: "0-3,8" -> [0, 1, 2, 3, 8] int64.

    Raises:
        ValueError: if the text is malformed, a range falls, or there are too many numbers.
    """
    parts: list[np.ndarray] = []
    total = 0
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if last < first:
            raise ValueError(f"`{flag}` must be like 0-63 or 1,5,7-9. Received: {text!r}.")
        total += last - first + 1
        if total > MAX_IMAGES:
            raise ValueError(f"`{flag}` must be at most {MAX_IMAGES} numbers. Received: {text!r}.")
        parts.append(np.arange(first, last + 1))
    return np.concatenate(parts)


def format_numbers(numbers: np.ndarray) -> str:
    """Writes numbers as `parse_numbers` reads them: [0, 1, 2, 3, 8] -> "0-3,8"."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    runs = np.split(numbers, breaks)
    return ",".join(f"{x[0]}-{x[-1]}" if len(x) > 1 else f"{x[0]}" for x in runs if len(x))
