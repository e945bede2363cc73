"""Tests if a generator repeats its training images, against images that training never saw.

Under the hypothesis that the network treats training and held-out images alike, the two are
exchangeable: which of them an image belongs to is as random as the split was. The tests of
distances draw other splits of the same images and ask how often these look at least as suspicious.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import scipy.stats

from pgtf.metrics.precision_recall import squared_distances

NUM_SPLITS = 99_999  # random splits that a p-value comes from
QUANTILE = 0.01  # of the distances between real images, below which a fake may be a copy
# A copy is clearly closer to one image than to the next; a blurred image is about as far from many.
RATIO = 0.8
NUM_FOR_LIMIT = 2000  # real images whose distances are that quantile's, at most
MIN_IMAGES = 20  # of each set
ALARM, DOUBT = 0.001, 0.05  # p-values below which the page warns, and doubts
MANY_COPIES = 20.0  # per thousand


@dataclasses.dataclass(frozen=True)
class Distances:
    """The real image nearest to each generated one, whichever set it is in."""

    nearest: np.ndarray  # [N] index among the reals
    distance: np.ndarray  # [N]
    next: np.ndarray  # [N] distance to the nearest of the other real images
    limit: float  # below it, a fake is as close to a real as the closest 1% of reals are

    @property
    def is_copy(self) -> np.ndarray:
        """Mask [N] of the fakes that are close to a real image, and to no other one."""
        return (self.distance < self.limit) & (self.distance < RATIO * self.next)


@dataclasses.dataclass(frozen=True)
class Nearness:
    """Shares of fakes whose nearest real image is one of training, and tests of them."""

    share: float  # of all fakes
    expected: float  # the same if the network treats all reals alike
    p: float
    copies: float  # of training images, per thousand fakes
    held_out_copies: float  # of held-out images
    copies_p: float  # of the split of copies


@dataclasses.dataclass(frozen=True)
class Membership:
    """The success of a guess, from a score, if an image was in training."""

    auc: float  # 0.5 = guessing
    low: float  # 95% interval of the AUC
    high: float
    p: float
    num: int  # images of both kinds


def check_numbers(**numbers: int) -> None:
    """Raises ValueError if there are too few images: generated=2000, training=90, held_out=3."""
    for name, number in numbers.items():
        if number < MIN_IMAGES:
            raise ValueError(
                f"privacy needs at least {MIN_IMAGES} images of each kind. "
                f"Received: {number} {name.replace('_', '-')} images."
            )


def distances(
    fakes: np.ndarray, reals: np.ndarray, mirrored: np.ndarray | None = None, seed: int = 0
) -> Distances:
    """Finds the real image nearest to each fake.

    Args:
        fakes, reals: vectors [n, D]; reals of training and held-out ones alike.
        mirrored: vectors of the mirrored reals, if the network was trained on these too.
        seed: seed of the order in which equally near images are found.
    """
    # Equal images may be in both sets. In a random order none of the sets is always found first.
    order = np.random.default_rng(seed).permutation(len(reals))
    points = np.concatenate([x[order] for x in (reals, mirrored) if x is not None])
    some = np.arange(len(reals))[:NUM_FOR_LIMIT]
    _, between = nearest(points[some], points, own=some, period=len(reals))
    # The third is another image even if the second is the mirror image of the first.
    indices, found = nearest(fakes, points, 2 if mirrored is None else 3)
    images = order[indices % len(reals)]
    other = np.argmax(images != images[:, :1], axis=1)
    limit = float(np.quantile(between, QUANTILE))
    return Distances(images[:, 0], found[:, 0], found[np.arange(len(fakes)), other], limit)


def compare(found: Distances, is_training: np.ndarray, seed: int = 0) -> Nearness:
    """Tests if fakes are closer to training images than to held-out ones.

    Args:
        found: nearest real images.
        is_training: mask [n] of the reals.
        seed: seed of the random splits.
    """
    near = np.bincount(found.nearest, minlength=len(is_training))
    copied = np.bincount(found.nearest[found.is_copy], minlength=len(is_training))
    per_thousand = 1000 / len(found.nearest)
    return Nearness(
        share=float(near[is_training].sum() / near.sum()),
        expected=float(is_training.mean()),
        p=split_test(near, is_training, seed),
        copies=float(copied[is_training].sum() * per_thousand),
        held_out_copies=float(copied[~is_training].sum() * per_thousand),
        copies_p=split_test(copied, is_training, seed + 1),
    )


def split_test(
    counts: np.ndarray, is_training: np.ndarray, seed: int, num_splits: int | None = None
) -> float:
    """Tests if training images have more of the counts than chance gives them. Returns p.

    Images are the unit, not fakes: one image with many fakes around it is one chance.

    Args:
        counts: [n] fakes that belong to each real image.
        is_training: mask [n] of the reals.
        seed: seed of the splits.
        num_splits: number of random splits; None = NUM_SPLITS.
    """
    rng = np.random.default_rng(seed)
    num_splits = num_splits or NUM_SPLITS
    found = int(counts[is_training].sum())
    # A split chooses how many of the images with each count are in training.
    values, numbers = np.unique(counts, return_counts=True)
    chosen = rng.multivariate_hypergeometric(
        numbers, int(is_training.sum()), size=num_splits, method="marginals"
    )
    drawn = chosen @ values
    # Ties are broken at random, which makes the p-value uniform if the hypothesis holds.
    above, equal = int((drawn > found).sum()), int((drawn == found).sum())
    return float((above + rng.uniform() * (equal + 1)) / (num_splits + 1))


def membership(training: np.ndarray, held_out: np.ndarray) -> Membership:
    """Measures how well a score, two [n], tells training from held-out images.

    The interval is that of DeLong et al. 1988.
    """
    test = scipy.stats.mannwhitneyu(training, held_out, alternative="greater")
    auc = float(test.statistic / (len(training) * len(held_out)))
    variance = _ranks(training, held_out).var() / max(len(training) - 1, 1)
    variance += _ranks(held_out, training).var() / max(len(held_out) - 1, 1)
    half = 1.96 * float(np.sqrt(variance))
    num = len(training) + len(held_out)
    return Membership(auc, max(auc - half, 0.0), min(auc + half, 1.0), float(test.pvalue), num)


def _ranks(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Computes the share of the others below each value; equal ones count half."""
    ordered = np.sort(others)
    sides = [np.searchsorted(ordered, values, side) for side in ("left", "right")]
    found: np.ndarray = np.mean(sides, axis=0) / len(others)
    return found


def verdict(p_values: Mapping[str, float], copies: float) -> tuple[str, str]:
    """Returns the verdict in a few words, and the sentence that explains it."""
    smallest = min(p_values, key=lambda name: p_values[name])
    p = p_values[smallest] * len(p_values)  # Several tests were made: Bonferroni.
    if p < ALARM:
        return "Do not publish", (
            f"The network treats its training images in another way than images it never saw "
            f"({smallest}): chance alone would show this in fewer than one of "
            f"{round(1 / ALARM):,} cases. It repeats training images, or tells who was among them."
        )
    if p < DOUBT or copies > MANY_COPIES:
        return "Look closely", (
            "There are signs that the network remembers training images. Look at the closest "
            "pairs below, and measure again with more held-out images."
        )
    return "No sign of copying", (
        "The tests found no difference between training images and images that the network never "
        "saw. That is no proof: see the limits below."
    )


def nearest(
    queries: np.ndarray,
    points: np.ndarray,
    num: int = 1,
    own: np.ndarray | None = None,
    period: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest points of each query, nearest first: -> indices and distances [n, num].

    Args:
        queries, points: [n, D], [m, D].
        num: number of points.
        own: [n] indices of points that a query must not find, as it is one of them.
        period: distance of the index of a point to that of its mirror image, which is left out too.
    """
    # Distances do not depend on the origin, but small ones would be lost among large squares.
    centre = points.mean(axis=0)
    indices = np.zeros((len(queries), num), np.int64)
    for rows, block in squared_distances(queries - centre, points - centre):
        if own is not None:
            lines = np.arange(len(block))
            for place in range(0, len(points), period or len(points)):
                block[lines, own[rows] + place] = np.inf
        part = np.argpartition(block, num - 1, axis=1)[:, :num]
        order = np.argsort(np.take_along_axis(block, part, axis=1), axis=1, kind="stable")
        indices[rows] = np.take_along_axis(part, order, axis=1)
    found = [np.linalg.norm(queries - points[column], axis=1) for column in indices.T]
    return indices, np.stack(found, axis=1)
