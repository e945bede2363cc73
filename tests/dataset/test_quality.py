"""The score falls when a photograph is spoiled, and does not care how it is turned."""

import numpy as np
import pytest

from pgtf.dataset.quality import MAX_SIDE, quality
from tests.dataset import photographs


def score(image):
    """Quality of uint8 [H, W, 3]."""
    return quality(image.transpose(2, 0, 1))


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


def test_the_formula_on_white_noise(rng):
    image = rng.normal(128, 20, (256, 256, 1)).astype(np.uint8)
    # f^2 P rises by three half octaves, 2 log 2^1.5, from the best coarse to the best fine ring.
    steep = 3 * np.log(2) - 1.5
    # The lowest of eight means of many powers is a little below the variance.
    assert score(image) == pytest.approx(np.log(20**2) - 3 * steep, abs=0.25)


def test_a_flat_image_has_the_lowest_breadth():
    assert score(np.full((64, 64, 3), 90, np.uint8)) == pytest.approx(np.log(0.1))


def test_a_sine_is_a_peak(rng):
    image = rng.normal(128, 20, (128, 128, 1))
    wave = 60 * np.sin(np.arange(128) * 2 * np.pi / 5)
    assert score((image + wave[:, None]).clip(0, 255).astype(np.uint8)) < score(
        image.astype(np.uint8)
    )


def test_of_large_images_the_middle_counts(rng):
    image = rng.integers(0, 256, (MAX_SIDE + 300, MAX_SIDE + 2, 1)).astype(np.uint8)
    assert score(image) == score(image[150:-150, 1:-1])
