"""The fast blur, compared with SciPy's, and the order of additions that both must have."""

import numpy as np
import pytest
import scipy.ndimage

from pgtf.dataset.celebahq import blur as blur_lib
from pgtf.dataset.celebahq.blur import Axis, Sums, blur, blur_lines, gaussian, mirrored

F32 = np.float32


def axes(shape, pads, sigma):
    """Axes of an image with padding (top, bottom, left, right) and the weights."""
    weights = gaussian(sigma)
    top, bottom, left, right = pads
    radius = len(weights) - 1
    return Axis(shape[0], top, bottom, radius), Axis(shape[1], left, right, radius), weights


def expanded(blurred, rows, columns):
    return blurred[rows.copies][:, columns.copies]


CASES = [  # height, width, padding (top, bottom, left, right), sigma
    ((40, 50), (12, 13, 14, 15), 2.3),
    ((90, 30), (60, 45, 70, 95), 6.0),  # wraps: more padding than image
    ((1, 9), (8, 8, 8, 8), 1.5),
    ((300, 20), (5, 0, 1, 30), 3.4),  # several blocks, hardly any padding
    ((25, 31), (4, 4, 4, 4), 9.0),  # radius beyond the padding
]


@pytest.mark.parametrize(("shape", "pads", "sigma"), CASES)
@pytest.mark.parametrize("kind", ["noise", "dark", "black with dots"])
def test_blur_equals_scipys_to_the_bit(rng, kind, shape, pads, sigma):
    image = rng.integers(0, 256, shape)
    if kind == "dark":
        image //= 200
    if kind == "black with dots":
        image = (image > 253) * 255
    rows, columns, weights = axes(shape, pads, sigma)
    top, bottom, left, right = pads
    padded = np.pad(image, ((top, bottom), (left, right)), "reflect").astype(F32)
    expected = scipy.ndimage.gaussian_filter(padded, sigma, mode="reflect", truncate=4.0)
    ours = expanded(blur(image.astype(np.uint8), rows, columns, weights), rows, columns)
    assert ours.dtype == F32
    assert (ours == expected).all()


def plain_blur(line, weights):
    """Blurs one line in the specified order of additions: float32 [n] -> float32 [n]."""
    radius, num = len(weights) - 1, len(line)

    def at(place):
        place %= 2 * num
        return float(line[min(place, 2 * num - 1 - place)])

    result = []
    for i in range(num):
        total = at(i) * weights[0]
        for k in range(radius, 0, -1):
            total = total + (at(i - k) + at(i + k)) * weights[k]
        result.append(total)
    return np.array(result, np.float64)


def midpoint_lines(weights, num):
    """float32 lines whose sum in the middle lies next to the midpoint of two float32 numbers."""
    radius = len(weights) - 1
    rng = np.random.default_rng(7)
    lines = rng.uniform(50, 200, (num, 2 * radius + 9)).astype(F32)
    middle = lines.shape[1] // 2
    lines[:, middle + radius] = 0.1  # small, so that its ulps move the sum by little
    for line in lines:
        total = plain_blur(line, weights)[middle]
        target = (float(F32(total)) + float(np.nextafter(F32(total), F32(300)))) / 2
        line[middle + radius] += F32((target - total) / weights[radius])
    return lines


def test_sums_next_to_a_float32_midpoint_are_summed_in_order():
    weights = gaussian(2.0)
    lines = midpoint_lines(weights, 400)
    axis = Axis(lines.shape[1], 0, 0, len(weights) - 1)
    ours = blur_lines(lines.T, axis, weights)[:, axis.copies]
    exact = np.stack([plain_blur(line, weights) for line in lines])
    assert (ours == exact.astype(F32)).all()
    middle = exact[:, lines.shape[1] // 2]
    from_midpoint = np.abs(np.abs(middle - middle.astype(F32)) - np.spacing(middle.astype(F32)) / 2)
    assert np.median(from_midpoint) < 1e-12  # the lines are what they are meant to be


def test_only_sums_next_to_a_midpoint_are_summed_again(rng, monkeypatch):
    weights = gaussian(2.0)
    again = []

    def spy(image, axis, weights, line, place):
        again.append(len(line))
        return blur_samples(image, axis, weights, line, place)

    blur_samples = blur_lib._blur_samples
    monkeypatch.setattr(blur_lib, "_blur_samples", spy)
    for image in (midpoint_lines(weights, 400).T, rng.uniform(50, 200, (300, 300)).astype(F32)):
        blur_lines(image, Axis(len(image), 0, 0, len(weights) - 1), weights)
    assert again[0] > 300
    assert again[1] < 10


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_sums_stay_within_their_bounds(rng, scale):
    weights = gaussian(5.0)
    sums = Sums(weights, 64)
    samples = rng.uniform(0, 255 * scale, (64 + 2 * (len(weights) - 1), 20)).astype(F32)
    low, high = sums(samples.astype(np.float64))
    for line in range(20):
        exact = plain_blur(samples[:, line], weights)[len(weights) - 1 :][:64].astype(F32)
        assert (low[line] <= exact).all()
        assert (exact <= high[line]).all()
    assert (low != high).mean() < 1e-3


@pytest.mark.parametrize(("num", "before", "after"), [(1, 3, 3), (2, 5, 4), (5, 0, 0), (7, 30, 19)])
def test_mirrored_places_are_those_of_numpys_reflect(num, before, after):
    line = np.arange(num)
    assert (mirrored(num, before, after) == np.pad(line, (before, after), "reflect")).all()


def test_mirrored_padding_is_blurred_once():
    axis = Axis(100, 60, 60, 20)
    assert len(axis.distinct) == 20 + 100 + 20
    assert sorted({*axis.copies}) == list(range(140))
    assert sum(map(len, axis.blocks)) < 220
