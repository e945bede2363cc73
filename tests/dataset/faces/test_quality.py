"""The score falls when a photograph is spoiled, and stays when it is flipped or turned."""

import numpy as np
import pytest

from pgtf.dataset.faces import quality
from tests.dataset import photographs


def score(image):
    """Quality of uint8 [H, W, 3]."""
    return quality.quality(image.transpose(2, 0, 1))


@pytest.fixture(scope="module")
def tiles():
    """(tile, its score) of four tiles of each photograph."""
    chosen = photographs.tiles(128, 4, np.random.default_rng(5))
    return [(tile, score(tile)) for _, tile in chosen]


@pytest.mark.parametrize("name", photographs.SPOILED)
def test_spoiled_photographs_score_below_their_originals(tiles, name):
    spoil = photographs.SPOILED[name]
    assert np.mean([score(spoil(tile)) < original for tile, original in tiles]) >= 0.95


@pytest.mark.parametrize("shape", [(128, 128), (130, 257), (61, 33), (16, 16), (4, 4)])
def test_flips_and_quarter_turns_change_nothing(rng, shape):
    image = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    image[: shape[0] // 2] //= 4
    turned = [image[::-1], image[:, ::-1], *(np.rot90(image, n) for n in (1, 2, 3))]
    for other in turned:
        assert score(other) == pytest.approx(score(image), rel=1e-9)


def test_the_formula_as_written(rng):
    image = rng.integers(0, 256, (80, 96, 1)) / 2 + 60 * np.sin(np.arange(96) * 1.3)[:, None] + 64
    image = image.clip(0, 255).astype(np.uint8)
    hann = np.array([0.5 - 0.5 * np.cos(2 * np.pi * (n + 0.5) / 8) for n in range(8)])
    window = hann[:, None] * hann
    # Found by hand: the frequencies (in eighths, 0 to 4) of each ring, by direction.
    rings = [
        [[(0, 3), (1, 3), (-1, 3)], [(2, 2)], [(3, 0), (3, 1), (3, -1)], [(2, -2)]],
        [[(0, 4)], [(2, 3), (3, 2)], [(4, 0)], [(2, -3), (3, -2)]],
    ]
    values = []
    for y in range(0, 73, 4):
        for x in range(0, 89, 4):
            patch = image[y : y + 8, x : x + 8, 0]
            centered = (patch - (patch * window).sum() / window.sum()) * window
            power = abs(np.fft.fft2(centered)) ** 2 / (window**2).sum()
            for ring in rings:
                weakest = min(np.mean([power[place] for place in sector]) for sector in ring)
                values.append(np.log(weakest + 0.03))
    values = np.array(values)
    lattice = (_lattice(image[:, :, 0]) + _lattice(image[:, :, 0].T)) / 2
    peak = max(_peak(image[:, :, 0]) - 2.2, 0)
    expected = values.mean() - 8 * np.maximum(values - 5, 0).mean() - 3 * peak - 0.4 * lattice
    assert score(image) == pytest.approx(expected)


def _peak(luma):
    height, width = luma.shape
    window = np.outer(
        *(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n) for n in luma.shape)
    )
    centered = (luma - (luma * window).sum() / window.sum()) * window
    power = abs(np.fft.fft2(centered)) ** 2 / (window**2).sum()
    rings = {}
    for y in range(height):
        for x in range(width):
            radius = np.hypot(min(y, height - y) / height, min(x, width - x) / width)
            if 0.115 <= radius < 0.5:
                rings.setdefault(int((radius - 0.115) / 0.015), []).append(power[y, x])
    ratios = [np.log((max(ring) + 1) / (np.median(ring) + 1)) for ring in rings.values()]
    return max(ratios) - np.median(ratios)


def _lattice(luma):
    steps = np.abs(np.diff(luma.astype(float), axis=1))
    ahead = [
        steps[:, i] - (steps[:, i - 1] + steps[:, i + 1]) / 2 for i in range(1, len(steps[0]) - 1)
    ]
    strongest = max(np.mean(ahead[phase::8]) for phase in range(8))
    return np.log(1 + max(strongest, 0) / (steps.mean() + 1 / 16) / 0.2)


def test_a_flat_image_has_the_lowest_score():
    assert score(np.full((64, 64, 3), 90, np.uint8)) == pytest.approx(np.log(0.03))


def test_one_direction_is_not_enough(rng):
    lines = np.broadcast_to(rng.integers(0, 256, (1, 128, 1)), (128, 128, 1)).astype(np.uint8)
    assert score(lines) < 0
    noise = rng.integers(100, 130, (128, 128, 1)).astype(np.uint8)
    assert score(noise) > 2


def test_a_large_image_is_scored_by_its_middle(rng, monkeypatch):
    assert quality.MAX_SIDE == 2048
    monkeypatch.setattr(quality, "MAX_SIDE", 200)
    image = rng.integers(0, 256, (500, 202, 1)).astype(np.uint8)
    assert score(image) != score(image[100:-200, 1:-1])
    assert score(image) == score(image[150:-150, 1:-1])
