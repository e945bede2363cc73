"""Patches of 7x7 pixels, cut from images or straight from the bands between two pyramid levels."""

import functools

import numpy as np

PATCH = 7  # pixels a side. Paper, Section 5
_COARSE = 6  # pixels a side of the next level that the expansion of a patch depends on


def cut(images, image, y, x, size=PATCH):
    """Cuts patches whose first pixel is (image, y, x): [N, H, W, C], 3 x [n] -> [n, size^2 C].

    One indexed item is a whole row of a patch, values that lie side by side in memory.
    """
    n, height, width, channels = images.shape
    row = np.dtype((np.void, size * channels * images.itemsize))
    rows = np.ndarray((n, height, width - size + 1), row, images, strides=images.strides[:3])
    found = rows[image[:, None], y[:, None] + np.arange(size), x[:, None]]  # [n, size] rows
    return found.view(images.dtype).reshape(len(image), size * size * channels)


def cut_band(fine, coarse, is_finest, image, y, x):
    """Cuts patches of `pyramid.laplacian_band(fine, coarse)` without making the band.

    Of a large image the patches are a small part. A patch of the expanded `coarse` is a linear
    function of 6x6 pixels, one of four by whether y and x are even.

    Args:
        fine: uint8 or float32 [N, H, W, C].
        coarse: float32 [N, H/2, W/2, C].
        is_finest: whether `fine` is the image itself: see `laplacian_band`.
        image, y, x: the first pixels of the patches, [n] each.

    Returns:
        float32 [n, 49 C], equal to those of the band to the last bit.
    """
    patches = cut(fine, image, y, x).astype(np.float32)
    dtype = np.float32 if is_finest else np.float64
    padded = np.concatenate([coarse[:, 1:2], coarse, coarse[:, -1:]], axis=1)  # as the mirror does
    padded = np.concatenate([padded[:, :, 1:2], padded, padded[:, :, -1:]], axis=2)
    for odd_y in (0, 1):
        for odd_x in (0, 1):
            rows = np.flatnonzero((y % 2 == odd_y) & (x % 2 == odd_x))
            small = cut(padded, image[rows], y[rows] // 2, x[rows] // 2, _COARSE)
            expansion = _expansion(odd_y, odd_x, fine.shape[3], dtype)
            patches[rows] -= (small.astype(dtype) @ expansion).astype(np.float32)
    return patches


@functools.cache
def _expansion(odd_y, odd_x, num_channels, dtype):
    """Matrix from 6x6 coarse pixels to the 7x7 of their expansion: [36 C, 49 C]."""
    y, x = _taps(odd_y), _taps(odd_x)
    return np.kron(y, np.kron(x, np.eye(num_channels))).astype(dtype)


def _taps(odd):
    """Along one axis: [6, 7]. Output j is sample j + odd of the expansion; input 1 is under it."""
    taps = np.zeros((_COARSE, PATCH))
    for j in range(PATCH):
        middle, rest = divmod(j + odd, 2)
        if rest:
            taps[middle + 1 : middle + 3, j] = 4 / 8  # [1 4 6 4 1] / 8 between two samples
        else:
            taps[middle : middle + 3, j] = 1 / 8, 6 / 8, 1 / 8  # and on a sample
    return taps
