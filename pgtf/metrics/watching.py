"""Measures of few images, for each tick of a run on a small dataset."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pgtf.metrics.ms_ssim import WEIGHTS, MultiScaleSSIM
from pgtf.metrics.swd import SlicedWasserstein

LEAST_SIDE = 1 << (len(WEIGHTS) - 1)  # pixels that both measures need
SEED = 0


def similarity(images: np.ndarray) -> float | None:
    """MS-SSIM of neighbours in uint8 [N, H, W, C]; None for images below 16 pixels, or one."""
    if min(images.shape[1:3]) < LEAST_SIDE or len(images) < 2:
        return None
    found = MultiScaleSSIM()
    found.feed(images)
    return found.result()


def distance_to(reals: np.ndarray) -> Callable[[np.ndarray], float] | None:
    """Returns SWD x 10^3 from reals, as a function of fakes; None below 16 pixels.

    Both are uint8 [N, H, W, C]. Positions and directions are the same in every call, so that values
    can be compared.
    """
    if min(reals.shape[1:3]) < LEAST_SIDE:
        return None
    swd = SlicedWasserstein(len(reals), reals.shape[1:], np.random.RandomState(SEED))
    swd.feed_reals(reals)

    def distance(fakes: np.ndarray) -> float:
        swd.begin_fakes()
        swd.feed_fakes(fakes)
        return swd.result()["avg"]

    return distance
