"""Images that are not trained on, to compare D's scores and the fakes with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pgtf.dataset import Dataset, open_dataset
from pgtf.training.config import RunConfig

SHARE = 0.1  # of a dataset that states no split
FEWEST, MOST = 16, 1000  # images
_STREAM = 7_919  # another order than those of other random numbers of the seed


class Parts(NamedTuple):
    """A dataset in two parts."""

    train: Dataset
    held_out: Dataset | None  # None = the run needs none
    line: str | None  # says so to the user

    @property
    def kept_apart(self) -> Dataset:
        """The held-out images. Call it only if the run needs them."""
        if self.held_out is None:
            raise ValueError("nothing is held out.")
        return self.held_out


def split(dataset: Dataset, config: RunConfig) -> Parts:
    """Divides a dataset as a run needs it.

    Held-out images are those of the dataset's split. Without one they are chosen by the seed: a
    tenth, 16 to 1,000 images.

    Args:
        dataset: opened for training.
        config: whole configuration, made for the dataset.

    Raises:
        ValueError: if the images are too few to hold out any.
    """
    if not config.augment.needs_held_out:
        return Parts(dataset, None, None)
    num_records = dataset.files[dataset.resolution_log2].num_records
    if dataset.num_images < num_records:
        held_out = open_dataset(
            dataset.path,
            resolution=dataset.resolution,
            max_label_size=dataset.label_size,
            split="held_out",
        )
        source = f"{dataset.path} holds out {held_out.num_images:,} images of {num_records:,}"
    else:
        num = number_of(dataset.num_images)
        order = np.random.RandomState([config.training.seed % 2**32, _STREAM]).permutation(
            dataset.num_images
        )
        held_out = dataset.subset(np.sort(order[:num]))
        dataset = dataset.subset(np.sort(order[num:]))
        source = _without_split(dataset.path, num, f"{num_records:,}", "are")
    if held_out.num_images < FEWEST:
        raise ValueError(
            f"{dataset.path}: must hold out {FEWEST} images or more to measure overfitting. "
            f"Received: {held_out.num_images}. {_REMEDY}"
        )
    return Parts(dataset, held_out, f"Held out: {source}")


def outlook(path: str, num_images: int, config: RunConfig) -> str | None:
    """Returns one line about a dataset without a split, still to be made of some images.

    Raises:
        ValueError: if the images are too few to hold out any.
    """
    if not config.augment.needs_held_out:
        return None
    text = _without_split(path, number_of(num_images), f"up to {num_images:,}", "will be")
    return f"Held out: {text}"


def _without_split(path: str, num: int, total: str, verb: str) -> str:
    return f"{path} has no split, so {num:,} of {total} images, chosen by the seed, {verb} held out"


_REMEDY = "Fix the probability with --aug_p, and set --config.augment.watch=false."


def number_of(num_images: int) -> int:
    """Number of images to hold out of a dataset without a split.

    Raises:
        ValueError: if fewer would be left to train on.
    """
    number = min(max(round(num_images * SHARE), FEWEST), MOST)
    if num_images < 2 * number:
        raise ValueError(
            f"the dataset must have {2 * FEWEST} images or more to hold some out. Received: "
            f"{num_images}. {_REMEDY}"
        )
    return number
