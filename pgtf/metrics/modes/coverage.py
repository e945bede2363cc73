"""Counting modes."""

import math

import numpy as np


def coverage(values, sizes):
    """Modes hit and reverse KL divergence from even use: [N, factors] -> dict.

    Args:
        values: which value of each factor an image shows, int.
        sizes: {factor: number of values}.

    Returns:
        `modes`: combinations that occur; `kl`: reverse KL divergence of all combinations from the
        uniform distribution, in nats; and with several factors `kl_FACTOR` of each.
    """
    shape = tuple(sizes.values())
    counts = np.bincount(np.ravel_multi_index(values.T, shape), minlength=math.prod(shape))
    found = {"modes": int(np.count_nonzero(counts)), "kl": reverse_kl(counts)}
    if len(sizes) > 1:
        for column, (name, size) in zip(values.T, sizes.items(), strict=True):
            found[f"kl_{name}"] = reverse_kl(np.bincount(column, minlength=size))
    return found


def reverse_kl(counts):
    """KL divergence of observed counts [M] from the uniform distribution: sum p ln(M p).

    At least 0; ln(M) for a single mode. Perfect sampling gives about (M - 1) / 2N for N images.
    """
    p = counts[counts > 0] / counts.sum()
    return float(np.sum(p * np.log(len(counts) * p)))
