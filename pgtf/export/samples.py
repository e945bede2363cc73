"""Latents and labels as a command line describes them."""

import dataclasses
import re

import numpy as np

from pgtf.networks import latents_from_seeds

MAX_IMAGES = 1_000_000  # of one command
ORIGINAL_NUM = 1000  # latents from which the published examples of the original were chosen


@dataclasses.dataclass(frozen=True)
class Draws:
    """Latent vectors, and what to call the images made from them."""

    names: list[str]
    numbers: list[int]  # seeds, or places among the latents of a random state
    latents: np.ndarray  # [N, latent_size] float32


def draw(latent_size, default_seeds, seeds=None, random_state=None, num=None, indices=None):
    """Latents as the flags of these names say: of seeds, or in the original's way."""
    if random_state is None:
        if num is not None or indices is not None:
            raise ValueError("`--num` and `--indices` need `--random_state`.")
        return draw_seeds(latent_size, default_seeds if seeds is None else seeds)
    if seeds is not None:
        raise ValueError("`--seeds` and `--random_state` exclude each other.")
    return draw_random_state(latent_size, random_state, num, indices)


def draw_seeds(latent_size, text):
    """Latents of seeds such as "0-63": the same in every command and in the exported model."""
    seeds = parse_numbers("--seeds", text)
    latents = latents_from_seeds(seeds, latent_size).numpy()
    return Draws([f"seed{seed:04d}" for seed in seeds], seeds, latents)


def draw_random_state(latent_size, random_state, num=None, indices=None):
    """Latents as the original release draws them for its published examples.

    Args:
        latent_size: length of a latent vector.
        random_state: seed of NumPy's RandomState.
        num: latents drawn; None = 1000.
        indices: text such as "477,56" that chooses among them; None = all.
    """
    num = ORIGINAL_NUM if num is None else num
    if not 1 <= num <= MAX_IMAGES:
        raise ValueError(f"`--num` must be in 1 ... {MAX_IMAGES}. Received: {num}.")
    chosen = list(range(num)) if indices is None else parse_numbers("--indices", indices)
    if max(chosen) >= num:
        raise ValueError(f"`--indices` must be in 0 ... {num - 1}. Received: {indices}.")
    latents = np.random.RandomState(random_state).randn(num, latent_size)[chosen]
    return Draws([f"index{i:04d}" for i in chosen], chosen, latents.astype(np.float32))


def parse_numbers(flag, text):
    """Reads numbers and ranges: "0-3,8" -> [0, 1, 2, 3, 8].

    Raises:
        ValueError: naming the flag, for anything else, a falling range or too many numbers.
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


def parse_label(label_size, names, class_=None, label=None):
    """One label [label_size] float32 of a class or of numbers; None if neither is given.

    Args:
        label_size: of the network.
        names: of the classes, () if they have none.
        class_: number or name of a class.
        label: numbers with commas.

    Raises:
        ValueError: if the text does not fit the network.
    """
    if class_ is None and label is None:
        return None
    if class_ is not None and label is not None:
        raise ValueError("`--class` and `--label` exclude each other.")
    if not label_size:
        raise ValueError("`--class` and `--label` need a network with labels; this one has none.")
    if label is not None:
        return _parse_numbers_of_label(label, label_size)
    number = names.index(class_) if class_ in names else -1
    if number < 0 and class_.isdecimal():
        number = int(class_)
    if not 0 <= number < label_size:
        known = f", or one of {', '.join(names)}" if names else ""
        raise ValueError(
            f"`--class` must be in 0 ... {label_size - 1}{known}. Received: {class_!r}."
        )
    return one_hot([number], label_size)[0]


def _parse_numbers_of_label(text, label_size):
    try:
        label = np.array([float(value) for value in text.split(",")], np.float32)
    except ValueError:
        label = np.zeros(0, np.float32)
    if label.size != label_size or not np.isfinite(label).all():
        raise ValueError(f"`--label` must be {label_size} numbers with commas. Received: {text!r}.")
    return label


def one_hot(numbers, label_size):
    """Labels of classes, counted round after the last one: [N] -> float32 [N, label_size]."""
    return np.eye(label_size, dtype=np.float32)[np.asarray(numbers) % label_size]
