"""Samples from JPEG coefficients, with the integer arithmetic of libjpeg 8d.

Unlike other decoders, libjpeg 8d enlarges subsampled components in the inverse cosine transform:
its output then has a side of 16 samples instead of 8. See sections "Transform" and "Colour" of
docs/celebahq.md. All values are integers below 2^53, so that float64 matrix products are exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Upper half of the inverse cosine transform with 8 and 16 outputs, scaled by 2^13: row = output,
# column = frequency. The lower half is its mirror image with odd frequencies negated. Some last
# digits are off by one, as in libjpeg.
HALF_TRANSFORMS = {
    8: (
        (8192, 11363, 10703, 9633, 8192, 6437, 4433, 2260),
        (8192, 9633, 4433, -2259, -8192, -11362, -10704, -6436),
        (8192, 6437, -4433, -11362, -8192, 2261, 10704, 9633),
        (8192, 2260, -10703, -6436, 8192, 9633, -4433, -11363),
    ),
    16: (
        (8192, 11529, 11363, 11086, 10703, 10217, 9632, 8956),
        (8192, 11086, 9633, 7350, 4433, 1136, -2260, -5461),
        (8192, 10217, 6437, 1136, -4433, -8955, -11363, -11086),
        (8192, 8956, 2260, -5461, -10703, -11086, -6436, 1137),
        (8192, 7350, -2260, -10217, -10703, -3363, 6436, 11529),
        (8192, 5461, -6437, -11529, -4433, 7349, 11363, 3363),
        (8192, 3363, -9633, -8955, 4433, 11529, 2260, -10217),
        (8192, 1136, -11363, -3363, 10703, 5461, -9632, -7350),
    ),
}
COLUMN_BITS, ROW_BITS = 11, 18  # each pass ends with a right shift by these, which rounds down
# Coefficient k of the file is number ZIGZAG[k] of the 8x8 block in row-major order.
ZIGZAG = sorted(
    range(64), key=lambda n: (n // 8 + n % 8, n // 8 if (n // 8 + n % 8) % 2 else n % 8)
)
# Y, Cb, Cr to R, G, B: factors of Cb - 128 and Cr - 128 in each channel, in units of 2^-16.
SCALE = 1 << 16
CB_TO_G, CB_TO_B, CR_TO_R, CR_TO_G = -22554, 116130, 91881, -46802
STRIP = 1 << 16  # samples computed at a time, so that they stay in the cache
F32 = np.float32


def transform(num_outputs: int) -> np.ndarray:
    """The inverse cosine transform: float64 [num_outputs, 8]."""
    half = np.array(HALF_TRANSFORMS[num_outputs], np.float64)
    return np.concatenate([half, half[::-1] * np.array([1, -1] * 4)])


def plane(
    coefficients: np.ndarray,
    quantization: np.ndarray,
    across: tuple[int, int],
    down: tuple[int, int],
) -> np.ndarray:
    """Computes the samples of one component at full size.

    Args:
        coefficients: int16 [blocks high, blocks wide, 64], zigzag order.
        quantization: int64 [64], zigzag order.
        across: horizontal sampling factors: the largest in the file, this component's.
        down: the vertical ones.

    Returns:
        uint8 [H, W], whole blocks.
    """
    num_columns, repeat_columns = enlargement(*across)
    num_rows, repeat_rows = enlargement(*down)
    columns_pass, rows_pass = _passes(quantization, num_rows, num_columns)
    high, wide, _ = coefficients.shape
    samples = np.empty((high, num_rows, wide, num_columns // 8), np.uint64)  # 8 samples each
    step = max(STRIP // (wide * num_rows * num_columns), 1)
    for start in range(0, high, step):
        blocks = coefficients[start : start + step].reshape(-1, 64)
        strip = blocks.astype(np.float64) @ columns_pass  # [n, num_rows * 8]
        strip += 0.5
        np.floor(strip, out=strip)
        strip = strip.reshape(-1, 8) @ rows_pass  # [n * num_rows, num_columns]
        strip += 128.5
        np.floor(strip, out=strip)
        packed = _limited(strip).view(np.uint64)
        shape = (-1, wide, num_rows, num_columns // 8)
        samples[start : start + step] = packed.reshape(shape).swapaxes(1, 2)
    result = samples.view(np.uint8).reshape(high * num_rows, wide * num_columns)
    if repeat_rows > 1:
        result = result.repeat(repeat_rows, axis=0)
    if repeat_columns > 1:
        result = result.repeat(repeat_columns, axis=1)
    return result


def enlargement(largest: int, factor: int) -> tuple[int, int]:
    """Outputs of the transform and repeats of each output, for a sampling factor.

    Raises:
        ValueError: the factor does not divide the largest one.
    """
    num_outputs = 16 if largest % (2 * factor) == 0 else 8
    repeats, rest = divmod(largest * 8, factor * num_outputs)
    if rest:
        raise ValueError(
            "the JPEG file must have sampling factors that divide the largest one. "
            f"Received: {factor} and {largest}."
        )
    return num_outputs, repeats


def _passes(
    quantization: np.ndarray, num_rows: int, num_columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Matrices of the two passes, scaled by powers of two: results only need rounding down.

    The first, [64, num_rows * 8], takes coefficients in zigzag order, dequantizes them and
    transforms columns; the second, [8, num_columns], transforms rows.
    """
    first = np.zeros((64, num_rows, 8))
    for k, place in enumerate(ZIGZAG):
        row, column = divmod(place, 8)
        first[k, :, column] = transform(num_rows)[:, row] * float(quantization[k])
    second = transform(num_columns).T
    return first.reshape(64, -1) / (1 << COLUMN_BITS), second / (1 << ROW_BITS)


def _limited(samples: np.ndarray) -> np.ndarray:
    """Clamps float64 integers to uint8 as libjpeg's table does, which has a period of 1024."""
    if samples.min() < 128 - 512 or samples.max() >= 128 + 512:  # with absurd coefficients only
        samples = (samples - (128 - 512)) % 1024 + (128 - 512)
    return np.clip(samples, 0, 255, out=samples).astype(np.uint8)


def rgb(planes: Sequence[np.ndarray]) -> np.ndarray:
    """Converts planes Y, Cb, Cr, uint8 [H, W] each -> uint8 [3, H, W]."""
    height, width = planes[0].shape
    result = np.empty((3, height, width), np.uint8)
    step = max(STRIP // width, 1)
    for start in range(0, height, step):
        rows = slice(start, start + step)
        y, cb, cr = (plane[rows].astype(F32) for plane in planes)
        cb -= F32(128)
        cr -= F32(128)
        # Products and sums stay below 2^24, so float32 is exact.
        red = cr * F32(CR_TO_R / SCALE)
        green = cb * F32(CB_TO_G / SCALE) + cr * F32(CR_TO_G / SCALE)
        blue = cb * F32(CB_TO_B / SCALE)
        for channel, offset in zip(result, (red, green, blue), strict=True):
            offset += F32(0.5)
            np.floor(offset, out=offset)
            offset += y
            channel[rows] = np.clip(offset, F32(0), F32(255), out=offset)
    return result
