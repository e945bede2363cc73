"""Multi-scale structural similarity of pairs of images. Wang, Simoncelli and Bovik 2003.

Between images of one set it measures variation: a generator that shows the same picture again and
again has a high value. The paper averages over 10,000 pairs (Section 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgtf.metrics.interface import Batch, Counts, Measure

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # per scale, finest first: Wang et al., 3.2
FILTER_SIZE, FILTER_SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
MAX_VALUE = 255
_BLOCK_PIXELS = 1 << 18  # values per side of the pairs in work at a time, 40 bytes each


class MsSsim(Measure):
    """MS-SSIM between fakes, and between reals to compare it with."""

    name, title = "msssim", "MS-SSIM"
    default_images, min_images = 20000, 2  # 10,000 pairs: paper, Section 5
    state_name = "msssim"

    def __init__(
        self, counts: Counts, shape: tuple[int, int, int], seed: int, network: Any = None
    ) -> None:
        super().__init__(counts, shape, seed, network)
        check_size(*shape[:2], len(WEIGHTS))
        self._reals, self._fakes = MultiScaleSSIM(), MultiScaleSSIM()
        self._value_of_reals: float | None = None

    def settings(self) -> dict[str, Any]:
        # Both sets arrive in random order, so two neighbours are a random pair.
        return {"pairing": "random"}

    def notes(self) -> dict[str, Any]:
        return {"pairs": self.counts.fakes // 2, "pairs_reals": self.counts.reals // 2}

    def feed_reals(self, batch: Batch) -> None:
        self._reals.feed(batch.images)

    def reals_state(self) -> dict[str, np.ndarray]:
        return {"msssim": np.array(self._reals.result())}

    def restore_reals(self, state: Mapping[str, np.ndarray]) -> None:
        self._value_of_reals = float(state["msssim"])

    def begin_fakes(self) -> None:
        if self._value_of_reals is None:
            self._value_of_reals = self._reals.result()
        self._fakes = MultiScaleSSIM()

    def feed_fakes(self, batch: Batch) -> None:
        self._fakes.feed(batch.images)

    def result(self) -> dict[str, float | None]:
        return {"msssim": self._fakes.result(), "msssim_reals": self._value_of_reals}


class MultiScaleSSIM:
    """MS-SSIM of consecutive images, averaged over the pairs. A minibatch may be odd in size."""

    def __init__(self) -> None:
        self._total, self._num_pairs = 0.0, 0
        self._odd_one: np.ndarray | None = None

    def feed(self, images: np.ndarray) -> None:
        """Adds images to the stream whose images 0 and 1, 2 and 3, ... are paired.

        They are [n, H, W, C] in 0 ... 255.
        """
        if self._odd_one is not None:
            images = np.concatenate([self._odd_one, images])
        paired = len(images) // 2 * 2
        self._odd_one = images[paired:] if paired < len(images) else None
        step = 2 * max(_BLOCK_PIXELS // images[0].size, 1)
        for start in range(0, paired, step):
            block = images[start : min(start + step, paired)]
            self._total += float(np.sum(ms_ssim(block[0::2], block[1::2])))
        self._num_pairs += paired // 2

    def result(self) -> float:
        """Mean over all pairs, in [0, 1].

        Raises:
            ValueError: fewer than two images were fed.
        """
        if not self._num_pairs:
            raise ValueError("MS-SSIM needs two images or more.")
        return self._total / self._num_pairs


def ms_ssim(
    a: np.ndarray,
    b: np.ndarray,
    weights: Sequence[float] = WEIGHTS,
    filter_size: int = FILTER_SIZE,
    filter_sigma: float = FILTER_SIGMA,
) -> np.ndarray:
    """MS-SSIM of each pair: two arrays [N, H, W, C] in [0, 255] -> float64 [N].

    A negative product of contrast and structure counts as 0, as in the original release, because
    a power of it would not be real.

    Args:
        a, b: images of one shape.
        weights: exponents per scale, finest first; each scale has half the size of the previous.
        filter_size: taps of the Gaussian window, fewer on scales smaller than that; 0 = none.
        filter_sigma: standard deviation of the full window, in pixels; smaller in proportion for
            a smaller window.
    """
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(
            "`a` and `b` must have one shape [N, H, W, C]. "
            f"Received: {list(a.shape)} and {list(b.shape)}."
        )
    check_size(a.shape[1], a.shape[2], len(weights))
    a, b = (x.astype(np.float64, order="C") for x in (a, b))
    product = np.ones(len(a))
    for scale, weight in enumerate(weights):
        ssim, contrast_structure = ssim_terms(a, b, filter_size, filter_sigma)
        is_last = scale == len(weights) - 1
        product *= np.maximum(ssim if is_last else contrast_structure, 0) ** weight
        if not is_last:
            a, b = _shrink(a), _shrink(b)
    return product


def check_size(height: int, width: int, num_scales: int) -> None:
    """Raises ValueError if images are too small for this number of scales."""
    least = 1 << (num_scales - 1)
    if min(height, width) < least:
        raise ValueError(
            f"MS-SSIM of {num_scales} scales needs images of {least} pixels or more. "
            f"Received: {height}x{width}."
        )


def ssim_terms(
    a: np.ndarray,
    b: np.ndarray,
    filter_size: int = FILTER_SIZE,
    filter_sigma: float = FILTER_SIGMA,
) -> tuple[np.ndarray, np.ndarray]:
    """Single-scale SSIM, and its contrast and structure part: float64 [N, H, W, C] -> 2 x [N]."""
    size = min(filter_size, *a.shape[1:3])
    window = gaussian_window(size, filter_sigma * size / filter_size) if size else np.ones(1)
    stacked = np.stack([a, b, a * a, b * b, a * b])
    mean_a, mean_b, aa, bb, ab = _filter(_filter(stacked, window, axis=2), window, axis=3)
    c1, c2 = (K1 * MAX_VALUE) ** 2, (K2 * MAX_VALUE) ** 2
    means = mean_a * mean_b
    powers = mean_a**2 + mean_b**2
    contrast_structure = (2 * (ab - means) + c2) / (aa + bb - powers + c2)
    luminance = (2 * means + c1) / (powers + c1)
    axes = (1, 2, 3)
    return np.mean(luminance * contrast_structure, axes), np.mean(contrast_structure, axes)


def gaussian_window(size: int, sigma: float) -> np.ndarray:
    """Samples a Gaussian around the middle and scales the sum to 1: -> float64 [size]."""
    offsets = np.arange(size) - (size - 1) / 2
    window: np.ndarray = np.exp(-(offsets**2) / (2 * sigma**2))
    window /= window.sum()
    return window


def _filter(x: np.ndarray, window: np.ndarray, axis: int) -> np.ndarray:
    """Correlates along an axis, without padding."""
    length = x.shape[axis] - len(window) + 1
    before = (slice(None),) * axis
    out = np.zeros((*x.shape[:axis], length, *x.shape[axis + 1 :]))
    for start, weight in enumerate(window):
        out += weight * x[(*before, slice(start, start + length))]
    return out


def _shrink(x: np.ndarray) -> np.ndarray:
    """Averages 2x2 pixels; an odd last row or column is paired with itself, as in the original."""
    if x.shape[1] % 2 or x.shape[2] % 2:
        x = np.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)), "edge")
    n, height, width, channels = x.shape
    halved: np.ndarray = x.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
    return halved
