"""Tests if a generator repeats its training images, against images that training never saw.

Under the hypothesis that the network treats training and held-out images alike, the two are
exchangeable: which of them an image belongs to is as random as the split was. Both tests draw other
splits of the same images and ask how often these look at least as suspicious.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.stats

from pgtf.metrics.precision_recall import squared_distances

NUM_SPLITS = 9999  # random splits that a p-value comes from
SIDE = 16  # pixels per side of the shapes
QUANTILE = 0.01  # of real images, which are closer to a training image than a copy's limit
MIN_IMAGES = 20  # of each set
ALARM, DOUBT = 0.001, 0.05  # p-values below which the page warns, and doubts


@dataclasses.dataclass(frozen=True)
class Nearness:
    """The nearest real images of the fakes, and what they say."""

    nearest: np.ndarray  # [N] index of the nearest training image
    to_training: np.ndarray  # [N] distance to it
    to_held_out: np.ndarray  # [N] distance to the nearest held-out image
    share: float  # of fakes whose nearest real image is one of training
    expected: float  # the same if the network treats all alike
    p: float
    limit: float  # distance below which a fake counts as a copy

    @property
    def copies_per_thousand(self) -> float:
        """Fakes that are closer to a training image than 99% of held-out images are."""
        return 1000 * float(np.mean(self.to_training < self.limit))


@dataclasses.dataclass(frozen=True)
class Membership:
    """The success of a guess, from D's score, if an image was in training."""

    auc: float  # 0.5 = guessing
    p: float


def nearness(
    fakes: np.ndarray, training: np.ndarray, held_out: np.ndarray, seed: int = 0
) -> Nearness:
    """Compares the distances of fakes to training images with those to held-out ones.

    Args:
        fakes, training, held_out: vectors [n, D].
        seed: seed of the random splits.

    Raises:
        ValueError: a set has too few images.
    """
    for name, rows in (("fakes", fakes), ("training", training), ("held_out", held_out)):
        if len(rows) < MIN_IMAGES:
            raise ValueError(
                f"privacy needs at least {MIN_IMAGES} images of each kind. "
                f"Received: {len(rows)} of `{name}`."
            )
    nearest, to_training = _nearest(fakes, training)
    other, to_held_out = _nearest(fakes, held_out)
    is_training = to_training < to_held_out
    counts = np.zeros(len(training) + len(held_out), np.int64)
    np.add.at(counts, np.where(is_training, nearest, len(training) + other), 1)
    share, p = split_test(counts, len(training), seed)
    limit = float(np.quantile(_nearest(held_out, training)[1], QUANTILE))
    expected = len(training) / len(counts)
    return Nearness(nearest, to_training, to_held_out, share, expected, p, limit)


def split_test(
    counts: np.ndarray, num_training: int, seed: int, num_splits: int = NUM_SPLITS
) -> tuple[float, float]:
    """Tests if training images are the nearest too often: -> share of fakes, p-value.

    Images are the unit, not fakes: one image with many fakes around it is one chance.

    Args:
        counts: [n] fakes whose nearest real image is this one; training images first.
        num_training: number of those.
        seed: seed of the splits.
        num_splits: number of random splits.
    """
    rng = np.random.default_rng(seed)
    total = max(int(counts.sum()), 1)
    found = int(counts[:num_training].sum())
    busy = counts[counts > 0]
    drawn = np.array(
        [_sum_of_split(rng, busy, len(counts), num_training) for _ in range(num_splits)]
    )
    # Ties are broken at random, which makes the p-value uniform if the hypothesis holds.
    above, equal = int((drawn > found).sum()), int((drawn == found).sum())
    p = (above + rng.uniform() * (equal + 1)) / (num_splits + 1)
    return found / total, float(p)


def _sum_of_split(rng: np.random.Generator, busy: np.ndarray, num: int, num_training: int) -> int:
    """Sums the counts of those busy images that a random split puts into training."""
    # Their places in a random order are enough; the others need none.
    places = rng.choice(num, size=len(busy), replace=False)
    return int(busy[places < num_training].sum())


def membership(training: np.ndarray, held_out: np.ndarray) -> Membership:
    """Measures how well scores tell training from held-out images: two [n] -> AUC and p-value."""
    test = scipy.stats.mannwhitneyu(training, held_out, alternative="greater")
    return Membership(float(test.statistic / (len(training) * len(held_out))), float(test.pvalue))


def pixels(images: np.ndarray) -> np.ndarray:
    """Makes vectors of pixels: uint8 [N, H, W, C] -> float32 [N, D], one gray level apart is 1."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    return flat / np.float32(np.sqrt(flat.shape[1]))


def shapes(images: np.ndarray) -> np.ndarray:
    """Makes vectors without brightness, contrast and fine detail: [N, H, W, C] -> [N, D].

    Means of boxes, at most 16x16, without their mean and scaled to length 1.
    """
    num, height, width, _ = images.shape
    boxes = images.astype(np.float32)
    down, right = max(height // SIDE, 1), max(width // SIDE, 1)
    boxes = boxes[:, : height // down * down, : width // right * right]
    boxes = boxes.reshape(num, height // down, down, width // right, right, -1).mean(axis=(2, 4))
    boxes -= boxes.mean(axis=(1, 2), keepdims=True)
    flat = boxes.reshape(num, -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def verdict(p_values: dict[str, float], copies_per_thousand: float) -> tuple[str, str]:
    """Returns the verdict in a few words, and the sentence that explains it."""
    smallest = min(p_values, key=lambda name: p_values[name])
    p = p_values[smallest] * len(p_values)  # Several tests were made: Bonferroni.
    if p < ALARM:
        return "Do not publish", (
            f"The network treats its training images in another way than images it never saw "
            f"({smallest}): chance alone would show this in fewer than one of "
            f"{round(1 / ALARM):,} cases. It repeats training images, or tells who was among them."
        )
    if p < DOUBT or copies_per_thousand > 10 + 1000 * QUANTILE:
        return "Look closely", (
            "There are signs that the network remembers training images. Look at the closest "
            "pairs below, and measure again with more held-out images."
        )
    return "No sign of copying", (
        "The tests found no difference between training images and images that the network never "
        "saw. That is no proof: see the limits below."
    )


def _nearest(queries: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest point of each query: -> indices [n], distances [n]."""
    # Distances do not depend on the origin, but small ones would be lost among large squares.
    centre = points.mean(axis=0)
    indices = np.zeros(len(queries), np.int64)
    for rows, block in squared_distances(queries - centre, points - centre):
        indices[rows] = block.argmin(axis=1)
    differences = queries - points[indices]
    return indices, np.sqrt(np.einsum("nd,nd->n", differences, differences))
