"""Multi-scale structural similarity of pairs of images. Wang, Simoncelli and Bovik 2003.

Between images of one set it measures variation: a generator that shows the same picture again and
again has a high value. The paper averages over 10,000 pairs (Section 5).
"""

import numpy as np

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # per scale, finest first: Wang et al., 3.2
FILTER_SIZE, FILTER_SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
MAX_VALUE = 255
_BLOCK_PIXELS = 1 << 18  # values of each image of the pairs in work at a time, 40 bytes each


class MultiScaleSSIM:
    """MS-SSIM of consecutive images, averaged over the pairs. A minibatch may be odd in size."""

    def __init__(self):
        self._total, self._num_pairs, self._odd_one = 0.0, 0, None

    def feed(self, images):
        """Adds uint8 [n, H, W, C] to the stream whose images 0 and 1, 2 and 3, ... are paired."""
        if self._odd_one is not None:
            images = np.concatenate([self._odd_one, images])
        paired = len(images) // 2 * 2
        self._odd_one = images[paired:] if paired < len(images) else None
        step = 2 * max(_BLOCK_PIXELS // images[0].size, 1)
        for start in range(0, paired, step):
            block = images[start : min(start + step, paired)]
            self._total += float(np.sum(ms_ssim(block[0::2], block[1::2])))
        self._num_pairs += paired // 2

    def result(self):
        """Mean over all pairs, in [0, 1].

        Raises:
            ValueError: fewer than two images were fed.
        """
        if not self._num_pairs:
            raise ValueError("MS-SSIM needs two images or more.")
        return self._total / self._num_pairs


def ms_ssim(a, b, weights=WEIGHTS, filter_size=FILTER_SIZE, filter_sigma=FILTER_SIGMA):
    """MS-SSIM of each pair: two arrays [N, H, W, C] in [0, 255] -> float64 [N].

    A scale's product of contrast and structure counts as 0 where it is negative, as in the
    original release, because a power of it would not be real.

    Args:
        a, b: images of one shape.
        weights: exponents per scale, finest first; the next scale is the mean of 2x2 pixels.
        filter_size: taps of the Gaussian window, less on scales smaller than that; 0 = none.
        filter_sigma: of the full window, in pixels; a smaller window shrinks it in proportion.
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


def check_size(height, width, num_scales):
    """Raises ValueError if the images are too small for so many scales."""
    least = 1 << (num_scales - 1)
    if min(height, width) < least:
        raise ValueError(
            f"MS-SSIM of {num_scales} scales needs images of {least} pixels or more. "
            f"Received: {height}x{width}."
        )


def ssim_terms(a, b, filter_size=FILTER_SIZE, filter_sigma=FILTER_SIGMA):
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


def gaussian_window(size, sigma):
    """Taps of a Gaussian around the middle that sum to 1: -> float64 [size]."""
    offsets = np.arange(size) - (size - 1) / 2
    window = np.exp(-(offsets**2) / (2 * sigma**2))
    return window / window.sum()


def _filter(x, window, axis):
    """Correlates along an axis, only where the window fits entirely."""
    length = x.shape[axis] - len(window) + 1
    before = (slice(None),) * axis
    out = np.zeros((*x.shape[:axis], length, *x.shape[axis + 1 :]))
    for start, weight in enumerate(window):
        out += weight * x[(*before, slice(start, start + length))]
    return out


def _shrink(x):
    """Mean of 2x2 pixels; an odd last row or column is paired with itself, as in the original."""
    if x.shape[1] % 2 or x.shape[2] % 2:
        x = np.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)), "edge")
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
