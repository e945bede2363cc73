import numpy as np
import pytest

from pgtf.dataset.pyramid import pyramid


def in_float32(images):
    """As the original does it: means in float32, rounded for writing only."""
    means = images.astype(np.float32)
    levels = [images]
    while means.shape[-1] > 4:
        means = (
            means[..., ::2, ::2]
            + means[..., ::2, 1::2]
            + means[..., 1::2, ::2]
            + (means[..., 1::2, 1::2])
        )
        means *= np.float32(0.25)
        levels.append(np.rint(means).clip(0, 255).astype(np.uint8))
    return levels


# 4096: ten levels, where float32 rounds and the order of additions matters.
@pytest.mark.parametrize(
    ("num", "channels", "resolution"),
    [(5, 3, 4), (3, 1, 8), (3, 3, 64), (2, 3, 1024), (1, 1, 4096)],
)
@pytest.mark.parametrize("highest", [1, 2, 255])  # 1 and 2: many ties
def test_levels_equal_float32_means(num, channels, resolution, highest, rng):
    images = rng.integers(0, highest, (num, channels, resolution, resolution), np.uint8, True)
    levels = pyramid(images)
    expected = in_float32(images)
    assert [level.shape[-1] for level in levels] == [level.shape[-1] for level in expected]
    for level, means in zip(levels, expected, strict=True):
        np.testing.assert_array_equal(level, means)


def test_levels_are_not_averaged_from_rounded_ones():
    image = np.zeros((1, 1, 16, 16), np.uint8)
    image[0, 0, ::2, ::2] = 1  # means 0.25 everywhere: rounded at each level, they would stay 0
    image[0, 0, 1::2, ::2] = 1
    image[0, 0, ::4, 1::4] = 1  # and now 0.5625
    assert [level.max() for level in pyramid(image)] == [1, 1, 1]
    assert pyramid(image)[2].min() == 1


def test_ties_go_to_even():
    image = np.array([[0, 1, 1, 1], [0, 1, 2, 2]] * 2, np.uint8).repeat(2, 0).repeat(2, 1)
    image = np.array([[[[0, 1, 1, 2], [1, 0, 2, 1]] * 4]], np.uint8)  # halves: 0.5 and 1.5
    image = np.tile(image, (1, 1, 1, 2))
    np.testing.assert_array_equal(pyramid(image)[1][0, 0, 0], [0, 2, 0, 2])


def test_white_does_not_overflow():
    white = np.full((1, 3, 64, 64), 255, np.uint8)
    assert all((level == 255).all() for level in pyramid(white))


def test_no_images_have_no_levels_but_shapes():
    assert [level.shape for level in pyramid(np.zeros((0, 3, 8, 8), np.uint8))] == [
        (0, 3, 8, 8),
        (0, 3, 4, 4),
    ]
