"""The fast resampling, compared with the running sum of the specification in plain loops."""

import math

import numpy as np
import pytest

from pgtf.dataset.celebahq.resize import lanczos, resize, resize_columns, resize_rows

F32 = np.float32


def plain_weights(num_in, num_out):
    """Yields (first tap, weights) of each output, one rounding per operation."""
    scale = F32(F32(num_in) / F32(num_out))
    stretch = max(scale, F32(1))
    support = F32(F32(3) * stretch)
    inverse = F32(1.0 / float(stretch))

    def sinc(t):
        if t == 0:
            return F32(1)
        angle = float(F32(float(t) * math.pi))
        return F32(math.sin(angle) / angle)

    for output in range(num_out):
        center = F32((output + 0.5) * float(scale))
        first = max(math.floor(F32(center - support)), 0)
        last = min(math.ceil(F32(center + support)), num_in)
        weights = []
        for j in range(first, last):
            u = F32((float(F32(F32(j) - center)) + 0.5) * float(inverse))
            window = F32(sinc(u) * sinc(F32(u / F32(3)))) if -3 <= u < 3 else F32(0)
            weights.append(F32(window * inverse))
        total = F32(0)
        for weight in weights:
            total = F32(total + weight)
        yield first, [F32(weight / total) if total else weight for weight in weights]


def plain_line(line, num_out):
    """Resamples one line: uint8 [n] -> uint8 [num_out]."""
    result = []
    for first, weights in plain_weights(len(line), num_out):
        total = F32(0.5)
        for value, weight in zip(line[first : first + len(weights)], weights, strict=True):
            total = F32(total + F32(F32(value) * weight))
        result.append(min(max(int(total), 0), 255))
    return np.array(result, np.uint8)


def plain_resize(image, width, height):
    """Horizontally, then vertically: uint8 [C, H, W] -> uint8 [C, height, width]."""
    planes = []
    for plane in image:
        wide = np.stack([plain_line(row, width) for row in plane])
        wide = plane if width == plane.shape[1] else wide
        tall = np.stack([plain_line(column, height) for column in wide.T]).T
        planes.append(wide if height == plane.shape[0] else tall)
    return np.stack(planes)


SIZES = [  # height, width -> height, width
    ((7, 9), (56, 72)),  # enlarged by a power of two, as `enlarge` does
    ((33, 21), (66, 42)),
    ((64, 48), (16, 12)),  # 4 to 1, as the warp is reduced
    ((90, 61), (30, 20)),  # about 3 to 1, as `shrink` does
    ((130, 2), (64, 2)),  # one axis only
    ((1, 50), (8, 17)),
    ((5, 1), (40, 8)),
    ((40, 200), (20, 65)),  # several blocks
]


@pytest.mark.parametrize(("old", "new"), SIZES)
@pytest.mark.parametrize("kind", ["noise", "black and white", "smooth"])
def test_resizing_equals_the_running_sum(rng, kind, old, new):
    image = rng.integers(0, 256, (2, *old))
    if kind == "black and white":  # overshoots both ends
        image = (image > 127) * 255
    if kind == "smooth":  # levels in long runs: sums that lie half-way between integers
        image = np.sort(image, axis=-1) // 16
    image = image.astype(np.uint8)
    assert (resize(image, new[1], new[0]) == plain_resize(image, new[1], new[0])).all()


@pytest.mark.parametrize(("num_in", "num_out"), [(4096, 1024), (333, 2664), (2705, 1352), (9, 2)])
def test_weights_are_rounded_as_specified(num_in, num_out):
    taps = lanczos(num_in, num_out)
    for output, (first, weights) in enumerate(plain_weights(num_in, num_out)):
        used = np.zeros(num_in, F32)
        used[first : first + len(weights)] = weights
        ours = np.zeros(num_in, F32)
        ours[taps.first[output] : taps.first[output] + taps.weights.shape[1]] = taps.weights[output]
        assert (ours == used).all(), output


def boundary_lines(rng, taps, count):
    """Finds lines with one sum as close to an integer as possible: uint8 [n, num_in]."""
    lines = rng.integers(0, 256, (300_000, taps.num_in), np.uint8)
    window = slice(taps.first[5], taps.first[5] + taps.weights.shape[1])
    sums = lines[:, window] @ taps.weights[5].astype(np.float64) + 0.5
    return lines[np.argsort(np.abs(sums - np.rint(sums)))[:count]]


@pytest.mark.parametrize(("num_in", "num_out"), [(96, 24), (12, 96), (60, 30)])
def test_sums_next_to_an_integer_are_summed_in_order(rng, num_in, num_out):
    taps = lanczos(num_in, num_out)
    lines = boundary_lines(rng, taps, 100)
    expected = np.stack([plain_line(line, num_out) for line in lines])
    assert (resize_rows(lines, taps) == expected).all()
    assert (resize_columns(lines.T.copy(), taps) == expected.T).all()


def test_these_sums_would_be_wrong_in_another_order(rng):
    taps = lanczos(96, 24)
    lines = boundary_lines(rng, taps, 30)
    values = lines[:, taps.first[5] : taps.first[5] + taps.weights.shape[1]].astype(F32)
    backwards = np.zeros(30, F32)
    for terms in (values * taps.weights[5])[:, ::-1].T:
        backwards += terms
    backwards += F32(0.5)
    assert 0 < (backwards.astype(np.uint8) != resize_rows(lines, taps)[:, 5]).sum() < 30


@pytest.mark.parametrize(("num_in", "num_out"), [(4096, 1024), (300, 2400), (2705, 1352)])
def test_the_tolerance_bounds_what_the_order_of_additions_changes(rng, num_in, num_out):
    taps = lanczos(num_in, num_out)
    line = rng.choice([0, 255], num_in).astype(F32)
    values = line[taps.first[:, np.newaxis] + np.arange(taps.weights.shape[1])]
    terms = values * taps.weights
    forwards, backwards = np.full(num_out, F32(0.5)), np.full(num_out, F32(0.5))
    for tap in range(terms.shape[1]):
        forwards += terms[:, tap]
        backwards += terms[:, -1 - tap]
    assert 0 < np.abs(forwards - backwards).max() < taps.tolerance < 2e-3
