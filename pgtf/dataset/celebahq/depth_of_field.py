"""Padding of a photograph that is too small: section "Padding" of docs/celebahq.md.

The image is mirrored outwards. The padding fades into a blurred copy of itself and then into the
median colour. All blending is float32, with one rounding per operation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from pgtf.dataset.celebahq.blur import Axis, blur, gaussian
from pgtf.dataset.celebahq.geometry import View

PADDING = 0.3  # least padding, if there is any, as a fraction of the finished side
MISSING = 4  # pixels of the border that may be missing without padding
BLUR = 0.02  # standard deviation as a fraction of the finished side
STRIP = 1 << 16  # samples blended at a time, so that they stay in the cache
F32 = np.float32
Part = tuple[slice, slice]  # rows and columns of a padded image
# Plane, rows, columns, standard deviation -> the padded and blurred plane at the distinct places.
Blur = Callable[[np.ndarray, Axis, Axis, float], np.ndarray]


def exact_blur(plane: np.ndarray, rows: Axis, columns: Axis, sigma: float) -> np.ndarray:
    """Blurs with SciPy's bits: uint8 [H, W] -> float32 [distinct, distinct]."""
    return blur(plane, rows, columns, gaussian(sigma))


def pad(view: View, blur: Blur = exact_blur) -> View:
    """Pads the image if the square and its border extend beyond it."""
    width, height = view.size
    left, top, right, bottom = view.bounds
    missing = [max(side, 0) for side in (-left, -top, right - width, bottom - height)]
    if max(missing) <= view.border - MISSING:
        return view
    least = round(view.side * PADDING / view.zoom)
    left, top, right, bottom = (max(side, least) for side in missing)
    sigma = view.side * BLUR / view.zoom
    radius = len(gaussian(sigma)) - 1
    rows = Axis(height, top, bottom, radius)
    columns = Axis(width, left, right, radius)
    image = np.empty((len(view.image), rows.num_padded, columns.num_padded), np.uint8)
    for plane, out in zip(view.image, image, strict=True):
        _fade(plane, blur(plane, rows, columns, sigma), rows, columns, out)
    quad = (view.quad.astype(np.float64) + (left, top)).astype(F32)
    return dataclasses.replace(view, image=image, quad=quad)


def _fade(
    plane: np.ndarray, blurred: np.ndarray, rows: Axis, columns: Axis, out: np.ndarray
) -> None:
    """Pads one channel, uint8 [H, W], and fades its padding; writes uint8 [h, w] into `out`.

    Args:
        plane: the channel.
        blurred: the padded and blurred channel at the distinct places of its axes, float32.
        rows: vertical axis.
        columns: horizontal axis.
        out: receives the result.
    """
    down, across = _depth(rows)[:, np.newaxis], _depth(columns)
    parts, inner = _frame(down[:, 0], across)
    blended = np.empty(out.shape, F32)  # outside `inner`
    counts = np.zeros(256, np.int64)
    for part in parts:
        sharp = _padded(plane, rows.mirror, columns.mirror, part).astype(F32)
        soft = _padded(blurred, rows.copies, columns.copies, part)
        soft -= sharp
        soft *= _blur_weight(np.minimum(down[part[0]], across[part[1]]))
        sharp += soft
        blended[part] = sharp
        counts += np.bincount(sharp.astype(np.uint8).ravel(), minlength=256)
    out[inner] = _padded(plane, rows.mirror, columns.mirror, inner)
    middle = _median([blended[part] for part in parts], out[inner], counts)
    for part in parts:
        sharp = blended[part]
        weight = F32(1) - np.minimum(down[part[0]], across[part[1]])
        np.clip(weight, F32(0), F32(1), out=weight)
        weight *= middle - sharp
        sharp += weight
        np.rint(sharp, out=sharp)
        out[part] = np.clip(sharp, F32(0), F32(255), out=sharp)


def _depth(axis: Axis) -> np.ndarray:
    """Depth of each place in a padded line, float32: 0 at its ends, 1 at the image's edges."""
    place = np.arange(axis.num_padded, dtype=F32)
    return np.asarray(np.minimum(place / F32(axis.before), place[::-1] / F32(axis.after)))


def _blur_weight(depth: np.ndarray) -> np.ndarray:
    """Weight of the blurred image: 1 up to depth 1, the image's edges; 0 from depth 4/3 on."""
    return np.asarray(np.clip((F32(1) - depth) * F32(3) + F32(1), F32(0), F32(1)))


def _frame(down: np.ndarray, across: np.ndarray) -> tuple[list[Part], Part]:
    """Divides a padded image into strips to blend and the inner part, which stays as it is."""
    top, bottom = _sharp_range(down)
    left, right = _sharp_range(across)
    height, width = len(down), len(across)
    step = max(STRIP // width, 1)
    parts = []
    for first, last, spans in (
        (0, top, [(0, width)]),
        (top, bottom, [(0, left), (right, width)]),
        (bottom, height, [(0, width)]),
    ):
        for start in range(first, last, step):
            rows = slice(start, min(start + step, last))
            parts += [(rows, slice(*span)) for span in spans if span[0] < span[1]]
    return parts, (slice(top, bottom), slice(left, right))


def _sharp_range(depth: np.ndarray) -> tuple[int, int]:
    """The range of a line that is too deep to be blurred: its first place, and its end."""
    sharp = np.flatnonzero(_blur_weight(depth) == 0)
    return (int(sharp[0]), int(sharp[-1]) + 1) if len(sharp) else (len(depth), len(depth))


def _padded(plane: np.ndarray, rows: np.ndarray, columns: np.ndarray, part: Part) -> np.ndarray:
    """A part of the padded plane, given the source of each of its rows and columns."""
    return np.asarray(plane[rows[part[0]]].take(columns[part[1]], axis=1))


def _median(blended: Sequence[np.ndarray], inner: np.ndarray, counts: np.ndarray) -> np.float32:
    """Median of float32 arrays and a uint8 array, in float32.

    Args:
        blended: the float32 arrays.
        inner: the uint8 array.
        counts: frequency of each whole part in `blended`, int64 [256].
    """
    counts = counts + np.bincount(inner.ravel(), minlength=256)
    total = int(counts.sum())
    ranks = np.array([(total - 1) // 2, total // 2])
    low, high = np.searchsorted(np.cumsum(counts), ranks, side="right")
    ranks -= counts[:low].sum()
    near = [inner[(inner >= low) & (inner <= high)].astype(F32)]
    near += [values[(values >= low) & (values < high + 1)] for values in blended]
    ordered = np.partition(np.concatenate(near), ranks)
    return F32((ordered[ranks[0]] + ordered[ranks[1]]) / F32(2))
