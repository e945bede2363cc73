"""The augmentations in NumPy, pixel by pixel, written for clarity."""

import numpy as np


def pixel(image, row, column):
    """Pixel of an image [H, W, C] that goes on mirrored beyond its edges."""
    height, width, _ = image.shape
    row, column = row % (2 * height), column % (2 * width)
    return image[min(row, 2 * height - 1 - row), min(column, 2 * width - 1 - column)]


def enlarged(image, taps):
    """Twofold enlargement of a mirrored image, with a margin of its own size: zeros, then filter.

    Returns the enlarged image of three times the sides, and the position of the image in it.
    """
    height, width, channels = image.shape
    padded = np.pad(image, [(height, height), (width, width), (0, 0)], mode="symmetric")
    zeros = np.zeros([6 * height, 6 * width, channels])
    zeros[::2, ::2] = padded
    for axis in (0, 1):
        zeros = np.apply_along_axis(lambda line: np.convolve(line, 2 * taps), axis, zeros)
    # The filter moves the image by 5.5 rows, and its first pixel belongs half a row further.
    start = (len(taps) - 1) // 2
    return zeros[start:, start:], (2 * height, 2 * width)


def warped(image, matrix, taps):
    """Image under a map [3, 3] of centred positions in the result to those in the image."""
    height, width, channels = image.shape
    large, (top, left) = enlarged(image, taps)
    large = large[top : top + 2 * height, left : left + 2 * width]
    result = np.zeros([2 * height, 2 * width, channels])
    for row in range(2 * height):
        for column in range(2 * width):
            # In pixels of the image, from its centre.
            x, y = (column - (2 * width - 1) / 2) / 2, (row - (2 * height - 1) / 2) / 2
            x, y = matrix[:2] @ [x, y, 1]
            x, y = 2 * x + (2 * width - 1) / 2, 2 * y + (2 * height - 1) / 2
            j, i = int(np.floor(x)), int(np.floor(y))
            for di, dj in np.ndindex(2, 2):
                weight = (1 - abs(y - i - di)) * (1 - abs(x - j - dj))
                result[row, column] += weight * pixel(large, i + di, j + dj)
    before, after = len(taps) // 2 - 1, len(taps) // 2 - 1
    padded = np.pad(result, [(before, after), (before, after), (0, 0)], mode="symmetric")
    for axis in (0, 1):
        padded = np.apply_along_axis(
            lambda line: np.convolve(line, taps, mode="valid"), axis, padded
        )
    return padded[::2, ::2]
