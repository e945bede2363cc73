"""Latents as the flags of generate.py describe them."""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from pgtf.networks import latents_from_seeds

MAX_IMAGES = 1_000_000  # limit for one command
ORIGINAL_NUM = 1000  # latents among which the original's published examples were chosen


@dataclasses.dataclass(frozen=True)
class Samples:
    """Latent vectors and the names of their images."""

    names: list[str]
    numbers: list[int]  # seeds, or positions among the latents of a random state
    latents: np.ndarray  # [N, latent_size] float32


def from_flags(
    latent_size: int,
    default_seeds: str,
    seeds: str | None = None,
    random_state: int | None = None,
    num: int | None = None,
    indices: str | None = None,
) -> Samples:
    """Samples latents as the flags of these names say: from seeds, or as the original release.

    Raises:
        ValueError: if the flags exclude each other or are malformed.
    """
    if random_state is None:
        if num is not None or indices is not None:
            raise ValueError("`--num` and `--indices` need `--random_state`.")
        return from_seeds(latent_size, default_seeds if seeds is None else seeds)
    if seeds is not None:
        raise ValueError("`--seeds` and `--random_state` exclude each other.")
    return from_random_state(latent_size, random_state, num, indices)


def from_seeds(latent_size: int, text: str) -> Samples:
    """Samples the latents of seeds such as "0-63", as every command and the exported model do."""
    seeds = parse_numbers("--seeds", text)
    latents = latents_from_seeds(seeds, latent_size).numpy()
    return Samples([f"seed{seed:04d}" for seed in seeds], seeds, latents)


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
    chosen = list(range(num)) if indices is None else parse_numbers("--indices", indices)
    if max(chosen) >= num:
        raise ValueError(f"`--indices` must be in 0 ... {num - 1}. Received: {indices}.")
    latents = np.random.RandomState(random_state).randn(num, latent_size)[chosen]
    return Samples([f"index{i:04d}" for i in chosen], chosen, latents.astype(np.float32))


def parse_numbers(flag: str, text: str) -> list[int]:
    """Reads numbers and ranges: "0-3,8" -> [0, 1, 2, 3, 8].

    Raises:
        ValueError: if the text is malformed, a range falls, or there are too many numbers.
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if last < first:
            raise ValueError(f"`{flag}` must be like 0-63 or 1,5,7-9. Received: {text!r}.")
        if len(numbers) + last - first >= MAX_IMAGES:
            raise ValueError(f"`{flag}` must be at most {MAX_IMAGES} numbers. Received: {text!r}.")
        numbers += range(first, last + 1)
    return numbers
