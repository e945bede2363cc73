"""The square of a face, warped to 4096x4096 and reduced: section 6 of docs/celebahq.md.

Pillow 3.1.1 maps whole output coordinates, not pixel centres, interpolates in float64 and
truncates. Here the interpolation is float32, and samples too close to an integer are interpolated
again in float64. The 4096x4096 image is never stored: it is reduced in bands.
"""

from __future__ import annotations

import numpy as np

from pgtf.dataset.celebahq.geometry import SIZE
from pgtf.dataset.celebahq.resize import lanczos, resize_columns, resize_rows

OVERSAMPLING = 4
BAND = 4  # rows interpolated at a time, so that they stay in the cache
REDUCED = 32  # rows reduced at a time; a multiple of BAND
STRIP = 1 << 16  # pixels packed at a time
# Bounds the error of a float32 interpolation of values up to 255: 20 roundings of factors below 1
# and 9 roundings of sums below 256 add up to 2.2e-4.
TOLERANCE = 2.0**-12
WHITE = np.uint32(0xFFFFFFFF)
F32 = np.float32


def warp_and_reduce(image: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """Warps a quadrilateral to the finished square.

    Args:
        image: uint8 [3, H, W].
        quad: float32 [4, 2], x and y of the corners NW, SW, SE, NE in pixels.

    Returns:
        uint8 [3, 1024, 1024].
    """
    size = SIZE * OVERSAMPLING
    channels = len(image)
    taps = lanczos(size, SIZE)
    warp = Warp(image, quad, size)
    rows = np.empty((REDUCED, channels, size), np.uint8)
    wide = np.empty((size, channels, SIZE), np.uint8)
    for start in range(0, size, REDUCED):
        warp.fill(start, rows)
        reduced = resize_rows(rows.reshape(-1, size), taps)
        wide[start : start + REDUCED] = reduced.reshape(REDUCED, channels, SIZE)
    square = resize_columns(wide.reshape(size, -1), taps).reshape(SIZE, channels, SIZE)
    return np.ascontiguousarray(square.swapaxes(0, 1))


class Coordinate:
    """One source coordinate as a function of the output's X and Y, in float64."""

    def __init__(self, corners: np.ndarray, size: int):
        nw, sw, se, ne = corners  # float32, as their differences are
        x = np.arange(size, dtype=np.float64)
        self.of_x = float(nw) + float(ne - nw) / size * x
        self.per_y = float(sw - nw) / size
        self.per_xy = float(((se - sw) - ne) + nw) / size / size * x

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Computes the coordinate of single samples: int64 [n], float64 [n] -> float64 [n]."""
        return np.asarray((self.of_x[x] + self.per_y * y) + self.per_xy[x] * y)

    def rows(self, y: np.ndarray) -> np.ndarray:
        """Computes the coordinate of whole rows: float64 [n] -> float64 [n, size]."""
        down = y[:, np.newaxis]
        return np.asarray((self.of_x + self.per_y * down) + self.per_xy * down)


class Scratch:
    """Arrays reused for every band of rows, because allocating new ones takes longer."""

    def __init__(self, channels: int, rows: int, size: int):
        shape = rows, size
        self.position, self.whole, self.fraction = np.empty((3, 2, *shape))  # [x and y, rows, size]
        self.index = np.empty(shape, np.intp)
        self.weights = np.empty((4, rows * size), F32)
        shape = channels, rows * size
        self.cells = np.empty(shape, np.uint32)
        self.field = np.empty(shape, np.uint32)
        self.corners = np.empty((4, *shape), F32)
        self.total = np.empty(shape, F32)
        self.low, self.high = np.empty((2, *shape), np.uint8)


class Warp:
    """Warps a quadrilateral in an image to a square."""

    def __init__(self, image: np.ndarray, quad: np.ndarray, size: int):
        corners = quad.astype(F32)
        self.image = image
        self.x, self.y = Coordinate(corners[:, 0], size), Coordinate(corners[:, 1], size)
        low, high = corners.min(axis=0), corners.max(axis=0)
        height, width = image.shape[1:]
        self.is_inside = bool((low >= 1).all() and (high <= (width - 1, height - 1)).all())
        # Keep the part of the image that is sampled, and one pixel around it that repeats its edge.
        left, top = (int(value) for value in np.maximum(low - 2, 0))
        right, bottom = (int(value) for value in np.minimum(high + 3, (width, height)))
        part = np.pad(image[:, top:bottom, left:right], ((0, 0), (1, 1), (1, 1)), mode="edge")
        self.stride = part.shape[2] - 1
        # Added to image coordinates, this gives coordinates in the cells of the part: cells begin
        # half a pixel later, and one cell lies before the edge.
        self.shift = np.array([0.5 - left, 0.5 - top])
        per_band = [c.per_y + c.per_xy for c in (self.x, self.y)]
        self.step = BAND * np.stack(per_band)[:, np.newaxis]
        self.cells = [_cells(plane) for plane in part]
        self.scratch = Scratch(len(image), BAND, size)

    def fill(self, start: int, out: np.ndarray) -> None:
        """Computes rows of the square, from `start` on, into uint8 [n * BAND, C, size]."""
        _, channels, size = out.shape
        scratch = self.scratch
        close = []  # flat indices into `out` of samples to interpolate again
        for row in range(0, len(out), BAND):
            band = out[row : row + BAND].swapaxes(0, 1)  # [C, BAND, size]
            outside = self._locate(start + row, row == 0)
            _weigh(scratch)
            for cells, found in zip(self.cells, scratch.cells, strict=True):
                np.take(cells, scratch.index.reshape(-1), out=found, mode="clip")
            channel, sample = np.divmod(_interpolate(scratch), BAND * size)
            y, x = np.divmod(sample, size)
            close.append(((row + y) * channels + channel) * size + x)
            band[:] = scratch.high.reshape(band.shape)
            if outside is not None:
                band[:, outside] = 0
        again = np.concatenate(close)
        rows, planes, columns = np.unravel_index(again, out.shape)
        out.reshape(-1)[again] = self.exact(planes, columns, start + rows)

    def exact(self, channel: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Interpolates single samples as Pillow does: int64 [n] each -> uint8 [n]."""
        _, height, width = self.image.shape
        source_x, source_y = self.x.at(x, y), self.y.at(x, y)
        outside = self._is_outside(source_x, source_y)
        column, row = np.floor(source_x - 0.5), np.floor(source_y - 0.5)
        dx, dy = source_x - 0.5 - column, source_y - 0.5 - row
        left, right = (np.clip(column + n, 0, width - 1).astype(np.intp) for n in (0, 1))
        top, bottom = (np.clip(row + n, 0, height - 1).astype(np.intp) for n in (0, 1))
        nw, ne, sw, se = (
            self.image[channel, rows, columns].astype(np.float64)
            for rows, columns in ((top, left), (top, right), (bottom, left), (bottom, right))
        )
        upper = nw + (ne - nw) * dx
        lower = sw + (se - sw) * dx
        return np.where(outside, 0, upper + (lower - upper) * dy).astype(np.uint8)

    def _is_outside(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        _, height, width = self.image.shape
        return np.asarray((x < 0) | (x >= width) | (y < 0) | (y >= height))

    def _locate(self, first_row: int, is_new: bool) -> np.ndarray | None:
        """Finds the cell of each sample of a band, and the sample's place in the cell.

        Positions derived from the previous band differ from those of `exact` in the last bits.
        This is harmless: the interpolated values differ by far less than TOLERANCE.

        Args:
            first_row: the band's first row in the square.
            is_new: True if the previous call was not for the previous band.

        Returns:
            True for samples outside the image, bool [rows, size]; None if there are none.
        """
        scratch = self.scratch
        outside = None
        if is_new or not self.is_inside:
            y = first_row + np.arange(BAND, dtype=np.float64)
            scratch.position[:] = self.x.rows(y), self.y.rows(y)
            if not self.is_inside:
                outside = self._is_outside(*scratch.position)
            scratch.position += self.shift[:, np.newaxis, np.newaxis]
        else:
            scratch.position += self.step
        np.floor(scratch.position, out=scratch.whole)
        np.subtract(scratch.position, scratch.whole, out=scratch.fraction)
        column, row = scratch.whole
        row *= self.stride
        row += column
        np.copyto(scratch.index, row, casting="unsafe")
        return outside


def _cells(plane: np.ndarray) -> np.ndarray:
    """Packs each pixel with its neighbours: uint8 [H, W] -> uint32 [(H - 1) * (W - 1)].

    NW is the lowest byte, then NE, SW, SE. Where all four are equal, the interpolated value would
    look close to an integer. NE and SW are therefore raised by 1, which does not change the
    truncated result. White cannot be raised; `_interpolate` treats it separately.
    """
    cells = np.empty((plane.shape[0] - 1, plane.shape[1] - 1), np.uint32)
    step = max(STRIP // plane.shape[1], 1)
    for start in range(0, len(cells), step):
        strip = plane[start : start + step + 1].astype(np.uint32)
        pairs = strip[:, 1:] << 8
        pairs |= strip[:, :-1]
        packed = pairs[1:] << 16
        packed |= pairs[:-1]
        flat = packed == strip[:-1, :-1] * np.uint32(0x01010101)
        flat &= packed != WHITE
        np.add(packed, flat * np.uint32(0x00010100), out=cells[start : start + step])
    return cells.reshape(-1)


def _weigh(scratch: Scratch) -> None:
    """Computes the weights of NW, NE, SW and SE, divided by the value of their byte in a cell.

    The weight of SE is not divided: its byte is the highest one and is shifted down.
    """
    nw, ne, sw, se = scratch.weights
    ne[:], sw[:] = scratch.fraction.reshape(2, -1)
    np.multiply(ne, sw, out=se)
    np.subtract(F32(1), ne, out=nw)
    ne -= se
    sw -= se
    nw -= sw
    ne *= F32(2.0**-8)
    sw *= F32(2.0**-16)


def _interpolate(scratch: Scratch) -> np.ndarray:
    """Interpolates `scratch.cells` in float32 into `scratch.high`, rounded down.

    Returns:
        Flat indices of the samples that may be wrong.
    """
    cells, field, total = scratch.cells, scratch.field, scratch.total
    signed = field.view(np.int32)  # int32 is converted faster than uint32
    for mask, corner in zip((0x0000FF, 0x00FF00, 0xFF0000), scratch.corners, strict=False):
        np.bitwise_and(cells, np.uint32(mask), out=field)
        np.copyto(corner, signed, casting="same_kind")
    np.right_shift(cells, np.uint32(24), out=field)
    np.copyto(scratch.corners[3], signed, casting="same_kind")
    np.einsum("kcn,kn->cn", scratch.corners, scratch.weights, out=total)
    total -= F32(TOLERANCE)
    np.copyto(scratch.low, total, casting="unsafe")
    total += F32(2 * TOLERANCE)
    np.copyto(scratch.high, total, casting="unsafe")
    close = np.flatnonzero(scratch.low != scratch.high)
    return np.asarray(close[scratch.cells.reshape(-1)[close] != WHITE])
